"""Projects that the doctor is called to."""

import pytest

from tests.prepare.patient import Patient


@pytest.fixture
def patient(tmp_path):
    return Patient(tmp_path)


@pytest.fixture
def whole(patient):
    """Everything that the generator's training needs."""
    patient.write_all_for_the_generator()
    return patient
