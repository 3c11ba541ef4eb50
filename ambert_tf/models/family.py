"""All KerasHub classes of the AMBERT family. Importing it registers them with Keras, and the presets in the package."""

from keras_hub.src.utils.preset_utils import register_presets

from ambert_tf.models.ambert_backbone import AmbertBackbone
from ambert_tf.models.ambert_masked_lm import AmbertMaskedLM
from ambert_tf.models.ambert_masked_lm_preprocessor import AmbertMaskedLMPreprocessor
from ambert_tf.models.ambert_multiple_choice import AmbertMultipleChoice
from ambert_tf.models.ambert_multiple_choice_preprocessor import AmbertMultipleChoicePreprocessor
from ambert_tf.models.ambert_span_extractor import AmbertSpanExtractor
from ambert_tf.models.ambert_span_extractor_preprocessor import AmbertSpanExtractorPreprocessor
from ambert_tf.models.ambert_text_classifier import AmbertTextClassifier
from ambert_tf.models.ambert_text_classifier_preprocessor import AmbertTextClassifierPreprocessor
from ambert_tf.models.ambert_token_classifier import AmbertTokenClassifier
from ambert_tf.models.ambert_token_classifier_preprocessor import AmbertTokenClassifierPreprocessor
from ambert_tf.models.ambert_tokenizer import AmbertTokenizer
from ambert_tf.presets import built_in_presets

register_presets(
    {name: {"metadata": {"path": "ambert"}, "kaggle_handle": path} for name, path in built_in_presets().items()},
    AmbertBackbone,
)

__all__ = [
    "AmbertBackbone",
    "AmbertMaskedLM",
    "AmbertMaskedLMPreprocessor",
    "AmbertMultipleChoice",
    "AmbertMultipleChoicePreprocessor",
    "AmbertSpanExtractor",
    "AmbertSpanExtractorPreprocessor",
    "AmbertTextClassifier",
    "AmbertTextClassifierPreprocessor",
    "AmbertTokenClassifier",
    "AmbertTokenClassifierPreprocessor",
    "AmbertTokenizer",
]
