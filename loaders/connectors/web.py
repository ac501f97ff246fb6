"""What the two connectors to web addresses share: the client, its credential, what answers mean."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from loaders.connectors.base import DeliveryError, Order, SourceUnavailable
from loaders.connectors.options import LOOPBACK, Auth, Timeouts
from loaders.settings import SettingsError

if TYPE_CHECKING:
    import httpx

REDIRECTS = (301, 302, 303, 307, 308)
REDIRECTS_MAX = 5
#: Answers that another try may turn into the wanted one; so do all of 500 and above.
TRANSIENT = (408, 425, 429)


@dataclass(frozen=True)
class Web:
    """A client for one host, with what its messages need."""

    client: httpx.Client
    host: str
    auth: Auth | None

    @contextmanager
    def get(self, url: str, headers: dict[str, str] | None = None) -> Iterator[httpx.Response]:
        """The answer to a GET, its body not yet read; the `with` block reads it.

        Raises:
            SourceUnavailable: the connection failed, timed out or broke off, also in the block.
            DeliveryError: a redirect to another host, or a certificate that nobody vouches for.
        """
        import httpx

        try:
            for _ in range(REDIRECTS_MAX + 1):
                with self.client.stream("GET", url, headers=headers) as response:
                    if response.status_code not in REDIRECTS:
                        yield response
                        return
                    url = self._redirect(response)
        except httpx.HTTPError as error:
            raise self._trouble(error) from _without_secret(error)
        except httpx.InvalidURL as error:
            raise DeliveryError(f"{self.host}: an address that is none ({error})") from error
        raise DeliveryError(f"{self.host} redirects more than {REDIRECTS_MAX} times; ask why")

    def _redirect(self, response: httpx.Response) -> str:
        target = response.url.join(response.headers.get("location", ""))
        if (target.scheme, target.netloc) != (response.url.scheme, response.url.netloc):
            # The credential and the trust in the certificate belong to the contract's host.
            raise DeliveryError(
                f"{self.host} redirects to {target.scheme}://{target.host}, another host; if that "
                "is right, put the new address into the contract"
            )
        return str(target)

    def _trouble(self, error: httpx.HTTPError) -> DeliveryError:
        import httpx

        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return DeliveryError(
                f"the certificate of {self.host} is not trusted ({error}); ask the agency for its "
                "certificate authority and name it in the option ca_file"
            )
        if isinstance(error, httpx.TimeoutException):
            what = f"did not answer in time ({type(error).__name__})"
        elif isinstance(error, httpx.DecodingError):
            what = "sent a body that is not encoded as its header says"
        elif isinstance(error, httpx.ConnectError):
            what = f"cannot be reached ({error})"
        else:
            what = f"broke the connection off ({type(error).__name__})"
        return SourceUnavailable(f"{self.host} {what}")

    def has_content(self, response: httpx.Response, missing_status: Collection[int]) -> bool:
        """Whether the answer holds what was asked for; False where nothing has arrived yet.

        Raises:
            SourceUnavailable: an answer that may be another one at the next try.
            DeliveryError: any other answer.
        """
        status, path = response.status_code, response.url.path
        if status in missing_status:
            return False
        if status in (200, 206):
            return True
        if status in TRANSIENT or status >= 500:
            raise SourceUnavailable(
                f"{self.host} answers {status} to {path}",
                _retry_after(response.headers.get("retry-after")),
            )
        if status in (401, 403, 407):
            what = (
                f"refuses the credential {self.auth.credential!r}"
                if self.auth
                else "asks for a credential, and the contract names none (option auth)"
            )
            raise DeliveryError(
                f"{self.host} {what} ({status} to {path}); correct the secret, or ask the agency "
                "for access"
            )
        raise DeliveryError(
            f"{self.host} answers {status} to {path}; correct the address in the contract, or ask "
            "the agency what changed"
        )


@contextmanager
def open_web(
    order: Order,
    url: str,
    *,
    auth: Auth | None,
    timeouts: Timeouts,
    ca_file: str | None,
    plain_http: bool,
) -> Iterator[Web]:
    """A client for the host of ``url``: certificates checked, no redirect followed unseen.

    Raises:
        DeliveryError: an address without encryption that the contract does not allow.
        SettingsError: no such secret, or one that cannot stand in a header.
    """
    import httpx

    parts = urlsplit(url)
    host = parts.netloc
    if parts.scheme != "https" and parts.hostname not in LOOPBACK and not plain_http:
        raise DeliveryError(
            f"{host} is asked without encryption: use its https address, or allow it with "
            "plain_http: true where the line itself is protected"
        )
    context = httpx.create_ssl_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise DeliveryError(
                f"{ca_file} holds no certificates ({type(error).__name__}); correct ca_file in "
                "the contract"
            ) from error
    headers = {"User-Agent": "nq42", "Accept-Encoding": "identity"}
    if auth is not None:
        name, value = _credential_header(order, auth)
        headers[name] = value
    with httpx.Client(
        headers=headers,
        verify=context,
        timeout=httpx.Timeout(timeouts.read, connect=timeouts.connect),
        follow_redirects=False,
    ) as client:
        yield Web(client, host, auth)


def _credential_header(order: Order, auth: Auth) -> tuple[str, str]:
    parts = order.credential(auth.credential, "token")
    if auth.kind == "basic":
        pair = parts.get("token") or ":".join(
            (parts.get("username", ""), parts.get("password", ""))
        )
        return "Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"
    value = parts.get("token") or parts.get("password") or ""
    if not value or not value.isascii() or not value.isprintable():
        raise SettingsError(
            f"the secret {auth.credential!r} is no token: it must be one line of ASCII characters"
        )
    return (auth.header, value) if auth.header else ("Authorization", f"Bearer {value}")


def _without_secret(error: Exception) -> Exception | None:
    """The cause to show: a client's own complaint may repeat a header, credential included."""
    import httpx

    return None if isinstance(error, httpx.LocalProtocolError) else error


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait by a Retry-After header: a number, or a date."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    return max(0.0, (at - dt.datetime.now(dt.UTC)).total_seconds())
