from agy_nb.widgets.approvals.approver import Approver as Approver, approve as approve
from agy_nb.widgets.chat.panel import ChatPanel as ChatPanel
from agy_nb.widgets.chat.recorded_chat import RecordedChat as RecordedChat, chat_ui as chat_ui
from agy_nb.widgets.response.response_view import show as show
