"""Recognition of files against sertk-decode, whole or packed, and of streams against files."""

import numpy as np
import pytest
import soundfile
from conftest import tone  # noqa: F401
