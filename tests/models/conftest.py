import pytest

from tests.models.family import family_tokenizer


@pytest.fixture
def tokenizer():
    """The tokenizer of the small models of the KerasHub family."""
    return family_tokenizer()
