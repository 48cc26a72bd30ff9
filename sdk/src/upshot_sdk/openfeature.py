"""The OpenFeature provider over a client; it comes with ``upshot-sdk[openfeature]``.

api.set_provider_and_wait(UpshotProvider(Client(url, key)))
api.get_client().get_boolean_value("new-checkout", False, EvaluationContext(targeting_key=user_id))
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
    ErrorCode,
    InvalidContextError,
    OpenFeatureError,
    ProviderFatalError,
    ProviderNotReadyError,
)
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagResolutionDetails, FlagValueType, Reason
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from upshot_sdk.client import Client
from upshot_sdk.evaluation import FLAG_NOT_FOUND, Evaluation
from upshot_sdk.values import given_as

T = TypeVar("T")
Scalar = bool | int | float | str
Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]

FLUSH_FOR = 3.0


class UpshotProvider(AbstractProvider):
    """Upshot's flags behind OpenFeature's interface: all five types, events, tracking and exposures.

    The asynchronous methods are the synchronous ones: an evaluation happens in the process and waits for nothing.

    Events: *ready* when there are flags from the server, *configuration changed* with the keys of the flags that it
    concerns, *stale* while the server cannot be reached and the last good flags serve, *error* when the server
    refuses the key. A start from the flags on disk is ready for OpenFeature; the stale event follows with the first
    evaluation, as the SDK announces *ready* only after `initialize`.

    Args:
        client: evaluates, and sends what is to be sent.
        owns_client: whether `shutdown` closes the client too.
        start_timeout: seconds that `initialize` waits for the server's first answer.
        flag_set_id: what telemetry calls this set of flags, ``flagSetId``; None: it is not named.
    """

    def __init__(
        self,
        client: Client,
        *,
        owns_client: bool = False,
        start_timeout: float = 5.0,
        flag_set_id: str | None = None,
    ) -> None:
        super().__init__()
        self._client, self._owns_client, self._start_timeout = client, owns_client, start_timeout
        self._named = {} if flag_set_id is None else {"flagSetId": flag_set_id}
        self._hooks: list[Hook] = [ExposureHook(client)]
        self._unsubscribe: Callable[[], None] | None = None
        self._owes_stale = False

    def get_metadata(self) -> Metadata:
        return Metadata("upshot")

    def get_provider_hooks(self) -> list[Hook]:
        return self._hooks

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Wait for flags. Where there are none, the client goes on asking, and *ready* is told when it has them.

        Raises:
            ProviderFatalError: the server refuses the key.
            ProviderNotReadyError: there are no flags, neither from the server nor on disk.
        """
        ready = self._client.wait(self._start_timeout)
        if self._unsubscribe is None:
            self._unsubscribe = self._client.subscribe(self._hear)
        if not ready and self._client.refused:
            raise ProviderFatalError(self._client.error)
        if not ready:
            raise ProviderNotReadyError(f"there are no flags: {self._client.error or 'the server is silent'}")
        self._owes_stale = self._client.state == "stale"

    def shutdown(self) -> None:
        """Send what waits to be sent, for at most three seconds; close the client if it is the provider's."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self._owns_client:
            self._client.close(FLUSH_FOR)
        else:
            self._client.flush(FLUSH_FOR)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, default_value, False, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, default_value, "", evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, default_value, 0, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        exact, fits = given_as(
            default_value, 0.0
        )  # a whole number is a good default: the SDK wants it as a float
        return self._resolve(flag_key, exact if fits else default_value, 0.0, evaluation_context)

    def resolve_object_details(
        self, flag_key: str, default_value: Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Object]:
        return self._resolve(flag_key, default_value, {}, evaluation_context)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Send that the context's unit did something; the details' value is the property ``value``."""
        details = tracking_event_details or TrackingEventDetails()
        value = {} if details.value is None else {"value": details.value}
        self._client.track(tracking_event_name, _context(evaluation_context), {**details.attributes, **value})

    def _resolve(
        self, flag_key: str, default: T, wanted: T, given: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        """The answer as the type of ``wanted``, which is of the type that was asked for, as a default may not be."""
        if self._owes_stale:
            self._owes_stale = False
            self._hear("stale")
        context = _context(given)
        answer = self._client.peek(flag_key, context, wanted)
        if answer.error_code is not None:
            raise _error(flag_key, answer.error_code, answer.error_message or "")
        return FlagResolutionDetails(
            value=default if answer.variant is None else answer.value,
            variant=answer.variant,
            reason=Reason(answer.reason),
            flag_metadata=Known(answer, context, self._named),
        )

    def _hear(self, news: str) -> None:
        """Pass on what the client tells."""
        error = self._client.error
        if news == "ready":
            self.emit_provider_ready(ProviderEventDetails())
        elif news == "changed":
            changed = list(self._client.flags_changed)
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=changed))
        elif news == "stale":
            self.emit_provider_stale(ProviderEventDetails(message=error))
        elif news == "error":
            code = ErrorCode.GENERAL if self._client.ruleset else ErrorCode.PROVIDER_FATAL
            self.emit_provider_error(ProviderEventDetails(message=error, error_code=code))


class Known(Mapping[str, Scalar]):
    """Flag metadata: the scalars that are known of an answer, read only, and the answer itself for our hook.

    ``contextId``, ``flagSetId`` and ``version`` are what telemetry looks for; the others are named as in
    `Evaluation.metadata`. They are put together when somebody looks: most callers only want the value.
    """

    def __init__(self, answer: Evaluation, context: Mapping[str, Any], named: Mapping[str, str]) -> None:
        self.answer, self.context, self._named = answer, context, named

    @cached_property
    def _scalars(self) -> Mapping[str, Scalar]:
        known = self.answer.metadata
        flat = {name: value for name, value in known.items() if isinstance(value, Scalar)}
        found = {"contextId": self.context.get("targetingKey"), "version": known.get("revision")}
        return {
            **flat,
            **self._named,
            **{name: told for name, told in found.items() if isinstance(told, str)},
        }

    def __getitem__(self, name: str) -> Scalar:
        return self._scalars[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scalars)

    def __len__(self) -> int:
        return len(self._scalars)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._scalars!r})"


class ExposureHook(Hook):
    """Sends an exposure when the caller got what an experiment gave.

    It works in the last stage, not while the flag is resolved: where another hook refuses the value after that, the
    caller gets the default and the unit has met nothing. And the caller may say so beforehand, with the hint
    ``{"exposure": False}``, for a value that is looked up and not shown. Answers of other providers send nothing.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def finally_after(
        self, hook_context: HookContext, details: FlagEvaluationDetails[FlagValueType], hints: HookHints
    ) -> None:
        known = details.flag_metadata  # ours only with a value of ours: errors have none
        if isinstance(known, Known) and hints.get("exposure") is not False:
            self._client.expose(known.answer, known.context)


def _context(given: EvaluationContext | None) -> Mapping[str, Any]:
    """OpenFeature's context as ours: attributes, and the targeting key as one of them."""
    if given is None:
        return {}
    with suppress(TypeError):
        attributes = dict(given.attributes)
        return (
            attributes if given.targeting_key is None else {**attributes, "targetingKey": given.targeting_key}
        )
    kind = type(given.attributes).__name__
    raise InvalidContextError(f"the context's attributes are a {kind}: give a mapping")


def _error(flag_key: str, code: str, message: str) -> OpenFeatureError:
    if code == FLAG_NOT_FOUND:  # in the words of OpenFeature's scenarios
        message = f"flag {flag_key[:100]} not found"
    return ErrorCode.to_exception(ErrorCode(code), message)
