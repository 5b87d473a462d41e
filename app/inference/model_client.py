"""The window's side of the model: owns the threads, keeps only the newest requests."""

from __future__ import annotations

from collections import deque

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.inference.insight_messages import (
    INSIGHT_KINDS,
    ForgetRequest,
    InsightAnswer,
    InsightRequest,
    SaveRequest,
)
from app.inference.messages import (
    Behind,
    CatchUpRequest,
    Improved,
    Learned,
    LearnRequest,
    LoadRequest,
    ModelInfo,
    NotLoaded,
    Prediction,
    PredictRequest,
    Progress,
)
from app.inference.model_worker import CANCELLED, LearningWorker, ModelWorker
from app.inference.worker_thread import WorkerThread

_KERNEL_MS = 250
"""How often to ask whether the fastest kernel is ready, while another one stands in for it."""

_REST_MS = 4000
"""After the last labels the learner is made ready: it imports a thousand modules, and whoever
scrolls a list or turns to the next image meanwhile stands still for 60 ms."""

Request = LoadRequest | PredictRequest | InsightRequest
Answer = ModelInfo | Prediction | InsightAnswer


class ModelClient(QObject):
    """Sends requests to the model and hands on its answers.

    At most one request is under way and one of each kind waits: a newer one takes the
    place of one that waits, so that nothing is computed that nobody sees any more. What is to
    be saved is saved, all of it.

    Signals:
        model_loaded(ModelInfo), predicted(Prediction), insight_answered(InsightAnswer): answers.
        not_loaded(NotLoaded): the model that was asked for is damaged; the one before goes on.
        fell_behind(int): nothing is predicted before the strokes on so many images are read.
        outdated: what was predicted by a kernel that stood in may come out otherwise now.
        progressed(Progress): learning did a step.
        improved(Improved): learning goes on, but has something better to show already.
        learned(Learned): learning ended with a new model.
        learning_failed(str): learning ended without one, and why.
        failed(str): a request could not be answered, and why.
        noticed(str): the model no longer works as usual, and why; said once until it changes.
    """

    model_loaded = Signal(object)
    not_loaded = Signal(object)
    predicted = Signal(object)
    fell_behind = Signal(int)
    insight_answered = Signal(object)
    outdated = Signal()
    progressed = Signal(object)
    improved = Signal(object)
    learned = Signal(object)
    learning_failed = Signal(str)
    failed = Signal(str)
    noticed = Signal(str)
    _request = Signal(object)
    _finish = Signal()
    _learn = Signal(object)
    _prepare = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[type[Request], Request] = {}
        self._saves: deque[SaveRequest] = deque()
        self._notices: dict[type[Answer | Progress], str] = {}
        self._busy = False
        self.is_learning = False
        self._serving_thread, self._worker = WorkerThread(), ModelWorker()
        self._learning_thread, self._learner = WorkerThread(), LearningWorker()
        self._worker.moveToThread(self._serving_thread)
        self._learner.moveToThread(self._learning_thread)
        self._request.connect(self._worker.handle)
        self._finish.connect(self._worker.finish)
        self._worker.answered.connect(self._on_answer)
        self._worker.failed.connect(self._on_failure)
        self._learn.connect(self._learner.learn)
        self._prepare.connect(self._learner.prepare)
        self._rest_timer = QTimer(self, interval=_REST_MS, singleShot=True)
        self._rest_timer.timeout.connect(self._on_rest)
        self._is_prepared = False
        self._kernel_timer = QTimer(self, interval=_KERNEL_MS)
        self._kernel_timer.timeout.connect(self._look_at_kernel)
        self._learner.progressed.connect(self._on_progress)
        self._learner.improved.connect(self._on_improved)
        self._learner.learned.connect(self._on_learned)
        self._learner.failed.connect(self._on_learning_failed)
        self._serving_thread.start()
        # Learning must not take the cores from the window and the serving model.
        self._learning_thread.start(WorkerThread.Priority.LowPriority)

    def send(self, request: Request) -> None:
        """Ask for something; the answer comes as a signal."""
        if isinstance(request, ForgetRequest):
            for kind in INSIGHT_KINDS:
                self._waiting.pop(kind, None)
        if isinstance(request, PredictRequest):
            self._waiting.pop(CatchUpRequest, None)
        if isinstance(request, CatchUpRequest) and PredictRequest in self._waiting:
            return  # its answer says what is left to catch up on
        if isinstance(request, SaveRequest):
            self._saves.append(request)
        else:
            self._waiting[type(request)] = request
        self._send_next()

    def learn(self, request: LearnRequest) -> None:
        """Begin to learn; does nothing while learning is under way."""
        if self.is_learning:
            return
        self.is_learning = True
        self._learner.stop.clear()
        self._learner.cancel.clear()
        self._learn.emit(request)

    def stop_learning(self) -> None:
        """End learning after the step under way; what was learned is kept."""
        self._learner.stop.set()

    def cancel_learning(self) -> None:
        """End learning soon; nothing of it is kept."""
        self._learner.cancel.set()
        self._learner.stop.set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked for and nothing is being learned."""
        return not (self._busy or self._waiting or self._saves or self.is_learning)

    @property
    def is_cancelled(self) -> bool:
        """Whether the learning under way, or the last one, is to keep nothing."""
        return self._learner.cancel.is_set()

    def close(self) -> None:
        """End the threads; what is to be saved is waited for, learning is cancelled."""
        self._waiting.clear()
        self._kernel_timer.stop()
        self._rest_timer.stop()
        self.cancel_learning()
        while self._saves:
            self._request.emit(self._saves.popleft())
        self._finish.emit()
        self._learning_thread.quit()
        for thread in (self._serving_thread, self._learning_thread):
            thread.wait()

    def _send_next(self) -> None:
        """Send what waits, a model before what it is asked for."""
        if self._busy:
            return
        for kind in (LoadRequest, PredictRequest, *INSIGHT_KINDS, CatchUpRequest):
            is_save = kind is SaveRequest and bool(self._saves)
            request = self._saves.popleft() if is_save else self._waiting.pop(kind, None)
            if request is not None:
                self._busy = True
                self._request.emit(request)
                return

    @Slot(object)
    def _on_answer(self, answer: Answer | Behind | NotLoaded) -> None:
        self._busy = False
        if isinstance(answer, Behind):
            self.fell_behind.emit(answer.unread)
        elif isinstance(answer, NotLoaded):
            self.not_loaded.emit(answer)
        # Of a model whose place another one takes at once nothing is said.
        elif not (isinstance(answer, ModelInfo) and LoadRequest in self._waiting):
            self._pass_on_notice(answer)
            self._hand_on(answer)
        self._send_next()

    def _hand_on(self, answer: Answer) -> None:
        if isinstance(answer, ModelInfo):
            self.model_loaded.emit(answer)
        elif isinstance(answer, Prediction):
            self.predicted.emit(answer)
            self._prepare_learning()
            if answer.is_provisional:
                self._kernel_timer.start()
        else:
            self.insight_answered.emit(answer)

    @Slot()
    def _look_at_kernel(self) -> None:
        """Say once that the fastest kernel is ready."""
        is_ready = self._worker.kernel_is_ready()
        if is_ready is not None and not self._busy:
            self._kernel_timer.stop()
            if is_ready:
                self.outdated.emit()

    def _prepare_learning(self) -> None:
        """Make the learner ready, once the user has something to look at and rests there."""
        if not self._is_prepared:
            self._rest_timer.start()

    @Slot()
    def _on_rest(self) -> None:
        self._is_prepared = True
        self._prepare.emit()

    def _pass_on_notice(self, answer: Answer | Progress) -> None:
        """Hand on the notice of an answer, unless the last one of any kind still says it."""
        if answer.notice and answer.notice not in self._notices.values():
            self.noticed.emit(answer.notice)
        self._notices[type(answer)] = answer.notice

    @Slot(object)
    def _on_progress(self, progress: Progress) -> None:
        self._pass_on_notice(progress)
        self.progressed.emit(progress)

    @Slot(str)
    def _on_failure(self, reason: str) -> None:
        self._busy = False
        self.failed.emit(reason)
        self._send_next()

    @Slot(object)
    def _on_improved(self, improved: Improved) -> None:
        if not self._learner.stop.is_set():
            self.improved.emit(improved)

    @Slot(object)
    def _on_learned(self, learned: Learned) -> None:
        if self.is_cancelled:  # when it had been learned, and was on its way
            self._on_learning_failed(CANCELLED)
            return
        self._end_learning()
        self.learned.emit(learned)

    @Slot(str)
    def _on_learning_failed(self, reason: str) -> None:
        self._end_learning()
        self.learning_failed.emit(reason)

    def _end_learning(self) -> None:
        self.is_learning = False
        self._notices.pop(Progress, None)
