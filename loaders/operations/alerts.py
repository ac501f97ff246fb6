"""Every kind of alert: what it is called, what it means for others, what to do first.

`docs/runbook.md` has a section for each, under the name of its member.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

RUNBOOK = "docs/runbook.md"


@dataclass(frozen=True)
class Words:
    """An alert in both languages; the English impact and rerun are on the page of the DAG."""

    title_vi: str
    title_en: str
    impact_vi: str
    action_vi: str


class Alert(Enum):
    """The kinds that a task, `nq42 doctor`, `nq42 status` or `nq42 audit verify` may raise."""

    REFUSED = Words(
        "Tệp bị từ chối",
        "Delivery refused",
        "Bộ dữ liệu này giữ số liệu tốt gần nhất; các bộ dữ liệu khác vẫn tiếp tục.",
        "Đề nghị cơ quan gửi lại tệp đúng, đặt vào thư mục nhận, rồi chạy lại nhiệm vụ nhập.",
    )
    HELD = Words(
        "Lô dữ liệu bị giữ",
        "Batch held",
        "Bộ dữ liệu này giữ số liệu tốt gần nhất; các bộ dữ liệu khác vẫn tiếp tục.",
        "Xem lý do; sửa tệp và nhập lại, hoặc người có trách nhiệm phê duyệt bằng nq42 approve.",
    )
    MISSING = Words(
        "Chưa nhận được dữ liệu",
        "Delivery missing",
        "Số liệu của kỳ trước được dùng thay; bản phát hành ghi rõ là cũ.",
        "Liên hệ cơ quan giao dữ liệu, đặt tệp vào thư mục nhận. Trong thời gian chờ, tệp được "
        "nhận tự động; hết thời gian chờ thì chạy import và build_and_publish với tháng này.",
    )
    UNREACHABLE = Words(
        "Không kết nối được với nguồn",
        "Source unreachable",
        "Chưa biết cơ quan đã giao dữ liệu hay chưa; số liệu tốt gần nhất được giữ.",
        "Kiểm tra mạng, địa chỉ và mật khẩu của nguồn, rồi chạy lại nhiệm vụ.",
    )
    BUILD_FAILED = Words(
        "Tính toán thất bại",
        "Build failed",
        "Bản phát hành cũ giữ nguyên; tháng này chưa được công bố.",
        "Đọc nhật ký dbt, khắc phục nguyên nhân, rồi chạy lại nhiệm vụ build.",
    )
    RELEASE_HELD = Words(
        "Bản phát hành bị giữ",
        "Release held",
        "Bản phát hành cũ giữ nguyên; bản dự thảo được giữ lại để xem xét.",
        "Xem quy tắc không đạt, sửa dữ liệu nguồn, nhập và tính lại.",
    )
    APPROVAL_WAITING = Words(
        "Chờ phê duyệt",
        "Approval waiting",
        "Bản dự thảo chưa được công bố cho đến khi có người trả lời.",
        "Trả lời bằng nq42 approve hoặc trang Required Actions của Airflow, kèm họ tên và lý do.",
    )
    PUBLISH_FAILED = Words(
        "Công bố thất bại",
        "Publication failed",
        "Bản phát hành cũ giữ nguyên.",
        "Khắc phục nguyên nhân trong nhật ký, rồi chạy lại nhiệm vụ publish.",
    )
    RETENTION_FAILED = Words(
        "Xoá tệp hết hạn lưu thất bại",
        "Retention failed",
        "Dữ liệu cá nhân bị lưu lâu hơn quy định.",
        "Chạy lại nhiệm vụ; kiểm tra quyền của thư mục landing.",
    )
    DATABASE_AWAY = Words(
        "Không kết nối được cơ sở dữ liệu",
        "Database away",
        "Không nhập, không công bố được; dữ liệu đã công bố không bị ảnh hưởng.",
        "Chạy nq42 doctor, khởi động PostgreSQL, rồi chạy lại các nhiệm vụ thất bại.",
    )
    DISK_FULL = Words(
        "Hết dung lượng đĩa",
        "Disk full",
        "Không nhập, không công bố được; giao dịch dở dang đã được huỷ.",
        "Giải phóng hoặc mở rộng đĩa, chạy nq42 doctor, rồi chạy lại các nhiệm vụ thất bại.",
    )
    TASK_FAILED = Words(
        "Nhiệm vụ thất bại",
        "Task failed",
        "Dữ liệu tốt gần nhất và bản phát hành cũ giữ nguyên.",
        "Đọc nhật ký của nhiệm vụ; đây có thể là lỗi chương trình.",
    )
    DOCTOR_ERROR = Words(
        "Kiểm tra hệ thống báo lỗi",
        "Doctor's error",
        "Tuỳ theo mục bị lỗi.",
        "Làm theo cách sửa mà nq42 doctor in ra.",
    )
    AUDIT_BROKEN = Words(
        "Dấu vết kiểm toán không còn nguyên vẹn",
        "Audit trail broken",
        "Không chứng minh được số liệu đã công bố là nguyên vẹn.",
        "Dừng công bố, giữ nguyên hiện trạng, báo người chịu trách nhiệm và kiểm toán.",
    )

    @property
    def key(self) -> str:
        """The name of its section in the runbook."""
        return self.name.lower()

    @property
    def runbook(self) -> str:
        return f"{RUNBOOK}#{self.key}"


#: Which stage of the release a failing task stands for.
RELEASE_TASKS = {
    "build": Alert.BUILD_FAILED,
    "gate": Alert.RELEASE_HELD,
    "publish": Alert.PUBLISH_FAILED,
}


def classify(dag_id: str, task_id: str, error: BaseException | str | None) -> Alert:
    """The alert that a task's end stands for.

    Args:
        error: what ended the task; Airflow may know it as text only.
    """
    text, names = str(error or ""), {kind.__name__ for kind in type(error).__mro__}
    if names & {"DiskFull"} or getattr(error, "errno", None) == 28 or "No space left" in text:
        return Alert.DISK_FULL
    if "SourceUnreachable" in names:
        return Alert.UNREACHABLE
    if "OperationalError" in names:
        return Alert.DATABASE_AWAY
    if task_id == "approve" and "AirflowFailException" in names:
        return Alert.APPROVAL_WAITING  # the answer was refused: the question stands
    if dag_id == "build_and_publish":
        return RELEASE_TASKS.get(task_id, Alert.TASK_FAILED)
    if dag_id == "maintain_retention":
        return Alert.RETENTION_FAILED
    if text.startswith("refused:"):
        return Alert.REFUSED
    return Alert.HELD if text.startswith("held:") else Alert.TASK_FAILED
