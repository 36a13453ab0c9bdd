from agy_nb import (
    analysis as analysis,
    errors as errors,
    testing as testing,
    widgets as widgets,
)
from agy_nb.analysis import load as load
from agy_nb.assertions.expectations import expect as expect
from agy_nb.cassette import (
    CassetteActiveError as CassetteActiveError,
    CassetteBusyError as CassetteBusyError,
    CassetteError as CassetteError,
    CassetteInvalidError as CassetteInvalidError,
    CassetteMismatchError as CassetteMismatchError,
    CassetteNotFoundError as CassetteNotFoundError,
    CassetteNotWrittenError as CassetteNotWrittenError,
    EchoRecordingError as EchoRecordingError,
    RebuildError as RebuildError,
    use_cassette as use_cassette,
)
from agy_nb.env import load_env as load_env
from agy_nb.errors import (
    AgentNotStartedError as AgentNotStartedError,
    AgyError as AgyError,
    AgyTimeoutError as AgyTimeoutError,
    BackendError as BackendError,
    BudgetExceededError as BudgetExceededError,
    ChannelClosedError as ChannelClosedError,
    CheckpointError as CheckpointError,
    DeadlockError as DeadlockError,
    HarnessError as HarnessError,
    InvalidConfigError as InvalidConfigError,
    InvalidInputError as InvalidInputError,
    InvalidMessageError as InvalidMessageError,
    InvalidPromptError as InvalidPromptError,
    MaxTokensError as MaxTokensError,
    QuotaExceededError as QuotaExceededError,
    SafetyError as SafetyError,
    TurnCancelledError as TurnCancelledError,
    TurnDeniedError as TurnDeniedError,
    UnsupportedSdkError as UnsupportedSdkError,
    WrongLoopError as WrongLoopError,
)
from agy_nb.experiments.compare_runs import compare_runs as compare_runs
from agy_nb.kernel import run as run
from agy_nb.runtime.agent import Agent as Agent
from agy_nb.runtime.checkpoints.from_recording import fork as fork
from agy_nb.runtime.default_runtime import create_agent as create_agent, runtime as runtime
from agy_nb.runtime.runtime import Runtime as Runtime
from agy_nb.runtime.runtime_config import RuntimeConfig as RuntimeConfig
from agy_nb.runtime.turns.response import Response as Response
from agy_nb.sdk.config.mcp_file import load_mcp_servers as load_mcp_servers
from agy_nb.sdk.interfaces.agent_spec import ToolInfo as ToolInfo
from agy_nb.sdk.interfaces.approval_request import (
    ApprovalDecision as ApprovalDecision,
    ApprovalRequest as ApprovalRequest,
)
from agy_nb.widgets.recordings.browse import browse as browse
from agy_nb.widgets.usage.usage_view import usage_ui as usage_ui

__version__: str

def load_ipython_extension(shell: object) -> None: ...
