"""The programs of the package, which are called by the scripts at the top level and in data/, and as console scripts.

A program is imported when it runs, so that `--help` does not wait for TensorFlow.
"""

import dataclasses
import pkgutil

from absl import flags

from ambert_tf.flags import run_program
from ambert_tf.startup import import_keras_alone

flags.disclaim_key_flags()  # attribute flags to the calling program, so that its --help shows them


@dataclasses.dataclass(frozen=True)
class Program:
    """A program. Call it to parse the command line and run.

    Attributes:
      settings: module and name of the settings dataclass, in entry-point format.
      function: module and name of the function that takes the settings.
    """

    settings: str
    function: str

    def __call__(self) -> None:
        import_keras_alone()
        run_program(pkgutil.resolve_name(self.settings), lambda given: pkgutil.resolve_name(self.function)(given))


build_vocab = Program(
    "ambert_tf.vocabulary.vocabulary_settings:VocabularySettings",
    "ambert_tf.vocabulary.build_vocab:run_build_vocab",
)
build_phrase_dictionary = Program(
    "ambert_tf.vocabulary.vocabulary_settings:PhraseSettings",
    "ambert_tf.vocabulary.phrase_dictionary:run_build_phrase_dictionary",
)
build_embeddings = Program(
    "ambert_tf.vocabulary.cooccurrence_settings:CooccurrenceSettings",
    "ambert_tf.vocabulary.cooccurrence:run_build_embeddings",
)
create_pretraining_data = Program(
    "ambert_tf.pretraining_data.creation_settings:CreationSettings",
    "ambert_tf.pretraining_data.create:run_create_pretraining_data",
)
inspect_records = Program(
    "ambert_tf.pretraining_data.creation_settings:InspectionSettings",
    "ambert_tf.pretraining_data.inspect_records:print_records",
)
pretrain = Program(
    "ambert_tf.pretraining.pretraining_settings:PretrainingSettings",
    "ambert_tf.pretraining.pretraining:run_pretraining",
)
classify = Program(
    "ambert_tf.finetuning.fine_tuning_settings:ClassificationSettings",
    "ambert_tf.finetuning.fine_tuning:run_fine_tuning",
)
squad = Program(
    "ambert_tf.finetuning.fine_tuning_settings:SpanSettings",
    "ambert_tf.finetuning.fine_tuning:run_fine_tuning",
)
ner = Program(
    "ambert_tf.finetuning.fine_tuning_settings:TaggingSettings",
    "ambert_tf.finetuning.fine_tuning:run_fine_tuning",
)
convert = Program(
    "ambert_tf.conversion.conversion_settings:ConversionSettings",
    "ambert_tf.conversion.convert:convert_checkpoint",
)
export = Program(
    "ambert_tf.serving.export_settings:ExportSettings",
    "ambert_tf.serving.export:run_export",
)
plot = Program("ambert_tf.training.plot:PlotSettings", "ambert_tf.training.plot:run_plot")
summary = Program("ambert_tf.models.summary:SummarySettings", "ambert_tf.models.summary:run_summary")
report = Program("ambert_tf.tasks.report:ReportSettings", "ambert_tf.tasks.report:run_report")
attention = Program(
    "ambert_tf.analysis.analysis_settings:AttentionSettings",
    "ambert_tf.analysis.attention:run_attention",
)
distances = Program(
    "ambert_tf.analysis.analysis_settings:DistancesSettings",
    "ambert_tf.analysis.distances:run_distances",
)
tokens = Program("ambert_tf.analysis.analysis_settings:TokensSettings", "ambert_tf.analysis.tokens:run_tokens")
cases = Program("ambert_tf.analysis.analysis_settings:CasesSettings", "ambert_tf.analysis.cases:run_cases")
page = Program("ambert_tf.analysis.analysis_settings:PageSettings", "ambert_tf.analysis.page:run_page")

PROGRAMS = {name: value for name, value in list(globals().items()) if isinstance(value, Program)}
