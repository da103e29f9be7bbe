"""What pyproject.toml cannot say: recorded runs, in results/, and explorers' scripts are installed with the package."""

from setuptools import find_packages, setup

RECORDED = "bregtutorial.recorded"

setup(
    packages=[*find_packages(include=["bregtutorial*"]), RECORDED],
    package_dir={RECORDED: "results"},
    package_data={"bregtutorial": ["py.typed", "explore/*.js"], RECORDED: ["*/*.json"]},
)
