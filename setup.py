"""What pyproject.toml cannot say: the recorded runs in results/ are installed as data inside the package."""

from setuptools import find_packages, setup

RECORDED = "bregtutorial.recorded"

setup(
    packages=[*find_packages(include=["bregtutorial*"]), RECORDED],
    package_dir={RECORDED: "results"},
    package_data={"bregtutorial": ["py.typed"], RECORDED: ["*/*.json"]},
)
