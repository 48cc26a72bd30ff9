"""Exposures of units that a server asks about flag by flag, by OFREP: it has no SDK that would send them."""

import logging
from collections.abc import Callable
from concurrent.futures import Future

from upshot.errors import UnavailableError
from upshot.events.frame import Frame, Source
from upshot.events.log import EventLog
from upshot_sdk import Evaluation
from upshot_sdk.exposures import Exposures
from upshot_sdk.messages import Context, MessageError, Messages, batch, exposure_of

_logger = logging.getLogger("upshot")


class ExposureLog:
    """Writes each exposure once, as far as this process remembers; repeats of other processes do no harm, since the
    first exposure counts.

    An answer does not wait for its exposure: evaluation goes on where the disk takes nothing. What the log did not
    take is forgotten, so that the next answer to the unit brings its exposure again.
    """

    def __init__(self, log: EventLog, clock: Callable[[], float]) -> None:
        self._log, self._clock = log, clock
        self._messages = Messages(clock)
        self._met = Exposures()

    def saw(self, source: str, answer: Evaluation, context: Context) -> None:
        """Note that a unit got an answer; only an experiment's, and a watched rollout's, makes an exposure."""
        exposure = exposure_of(answer, context)
        if exposure is None or not self._met.first(*exposure):
            return
        try:
            body = batch((self._messages.exposure(answer, context),), self._clock)
            written = self._log.append(Frame(Source(source), round(self._clock() * 1_000_000), body))
        except UnavailableError:
            self._met.forget(*exposure)
        except MessageError as error:
            _logger.warning("an exposure of %s is not recorded: %s", exposure[0], error)
        else:
            written.add_done_callback(lambda done: self._failed(done, exposure))

    def _failed(self, written: "Future[None]", exposure: tuple[str, int, str, str]) -> None:
        if written.exception() is not None:
            self._met.forget(*exposure)
