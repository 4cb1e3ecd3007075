"""A process that is none: the tool runs at once, with the same job file."""

import pytest

from napari_surfseg.errors import CancelledError, SurfsegError
from napari_surfseg.gui.background.messages import name_layers
from napari_surfseg.inference.process_protocol import read_job
from napari_surfseg.surface_tools.files import ToolRun, run_tool


class NoProcess:
    """What a tool's job is carried out by, without the seconds that a process takes to start."""

    def __init__(self):
        self.stages, self.questions = [], []
        self.is_cancelled = False

    def report(self, stage, share):
        self.stages.append((stage, share))

    def ask(self, question):
        self.questions.append(question)
        return True

    def check_cancelled(self):
        if self.is_cancelled:
            raise CancelledError("The tool was cancelled.")

    def run(self, job_file, names=None):
        self.check_cancelled()
        self.job = read_job(job_file, lambda values: ToolRun(**values))
        try:
            return run_tool(self.job, self.report)
        except SurfsegError as error:
            raise type(error)(name_layers(str(error), names or {}), field=error.field) from None


@pytest.fixture
def no_process():
    return NoProcess()
