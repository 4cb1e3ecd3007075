"""What the file of a launcher holds.

It is read by the same machinery as an experiment: unknown keys and values out of range are
refused in one sentence with the file and the key.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator, model_validator

from napari_surfseg.config import PathText, Section
from napari_surfseg.runs.launchers.template import PLACES, check_places

__all__ = ["Launcher", "MappedFolder"]

#: Before the job has a number, and after.
AT_START = tuple(name for name in PLACES if name != "job")
ABOUT_JOB = tuple(PLACES)


def _is_a_pattern(text: str) -> str:
    try:
        re.compile(text.replace("{job}", "1"))
    except re.error as error:
        raise ValueError(f"it is no regular expression ({error})") from None
    return text


def _is_absolute(path: str) -> str:
    if not (PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()):
        raise ValueError("it must be an absolute path, so that it means the same everywhere")
    return path


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_is_a_pattern)]
AbsolutePath = Annotated[PathText, AfterValidator(_is_absolute)]
Arguments = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class MappedFolder(Section):
    """A folder that the two machines call differently."""

    here: AbsolutePath = Field(description="As it is called on this computer.")
    there: AbsolutePath = Field(description="As it is called where the training is.")


class Launcher(Section):
    """How a training is started, asked after and ended on another machine.

    Places such as `{run}` are filled in, `{run:sh}` quoted for a shell.
    """

    title: str = Field(
        default="", max_length=60, description="What a person calls it; by default the file's name."
    )
    program: Arguments = Field(
        default=("surfseg",),
        description="What starts surfseg there, for example "
        "`[/home/me/surfseg/bin/python, -m, napari_surfseg]`.",
    )
    paths: tuple[MappedFolder, ...] = Field(
        default=(),
        description="Folders of the shared disk that are called differently here and there.",
    )
    folder: AbsolutePath | None = Field(
        default=None, description="Working folder there; by default the run's."
    )
    script: str | None = Field(
        default=None, description="Text of a job's script, written into the run folder."
    )
    start: Arguments = Field(description="Command that starts the job, as a list of arguments.")
    job: Pattern = Field(
        default=r"(\d+)",
        description="Regular expression whose first group is the job's number in what `start` "
        "prints.",
    )
    ask: Arguments = Field(description="Command that says what the job is doing.")
    queued: Pattern | None = Field(
        default=None,
        description="Regular expression found in what `ask` prints while the job waits; a group "
        "named `why` is the reason.",
    )
    running: Pattern = Field(
        description="Regular expression found in what `ask` prints while the job runs."
    )
    ended: Pattern | None = Field(
        default=None,
        description="Regular expression found in what `ask` prints when there is no such job any "
        "more. By default that is when it succeeds and finds neither of the others.",
    )
    stop: Arguments = Field(description="Command that ends the job, or takes it out of the queue.")
    patience: Annotated[float, Field(ge=1, le=600)] = Field(
        default=30.0,
        description="How long a command may take.",
        json_schema_extra={"unit": "s"},
    )
    every: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=15.0,
        description="Time between two questions.",
        json_schema_extra={"unit": "s"},
    )

    @field_validator("start", "ask", "stop")
    @classmethod
    def _places_are_known(cls, value: tuple[str, ...], info: Any) -> tuple[str, ...]:
        known = AT_START if info.field_name == "start" else ABOUT_JOB
        for argument in value:
            wrong = check_places(argument, known)
            if wrong:
                raise ValueError(wrong)
        # What asks may list all jobs of a person; what stops must name the one.
        if info.field_name == "stop" and not any("{job}" in argument for argument in value):
            raise ValueError("it must name the {job} that it ends")
        return value

    @field_validator("script")
    @classmethod
    def _script_is_one(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not value.startswith("#!"):
            raise ValueError("a script begins with #! and its interpreter, as #!/bin/bash")
        wrong = check_places(value, AT_START, is_script=True)
        if wrong:
            raise ValueError(wrong)
        return value

    @field_validator("job")
    @classmethod
    def _job_has_a_group(cls, value: str) -> str:
        if not re.compile(value).groups:
            raise ValueError("it needs a group, in (), that holds the job's number")
        return value

    @model_validator(mode="after")
    def _it_trains(self) -> Launcher:
        texts = (*self.start, self.script or "")
        if not any("{command" in text for text in texts):
            raise ValueError("neither start nor script holds {command}, so nothing would train")
        if self.script is not None and not any("{script" in text for text in self.start):
            raise ValueError("start does not use the {script}")
        if self.script is None and any("{script" in text for text in self.start):
            raise ValueError("start uses a {script}, and script is missing")
        return self
