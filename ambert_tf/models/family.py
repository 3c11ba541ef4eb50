"""All KerasHub classes of the AMBERT family. Importing it registers them with Keras."""

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
