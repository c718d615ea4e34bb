"""Checkpoints of `transformers` as externals: CTC, encoders with a decoder (Whisper, …), classifiers.

Weights are safetensors, and no code of a checkpoint is run. Sounds are heard together only by the families whose answers
do not depend on who else is in the batch; all others hear one after the other.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from sorigil.errors import RequestError
from sorigil.external.specs import TransformersSpec
from sorigil.types import Hypothesis

FEWEST_SECONDS = 0.1  # what is shorter gets silence behind it: some networks need a frame of several convolutions
BATCH_SECONDS = 120.0  # with padding
MOST_TOGETHER = 16
MASKED = {"wav2vec2", "hubert", "wavlm"}  # model types: what a mask covers is as if it were not there
FIXED = {"whisper", "audio-spectrogram-transformer"}  # always padded to the same length
SAFE_TO_MISS = {"masked_spec_embed"}  # weights that only training reads

Floats = npt.NDArray[np.float32]


def opened(spec: TransformersSpec, folder: str) -> Checkpoint:
    """The model in `folder`, on a GPU where there is one. Raises RequestError where transformers cannot load it, or where
    it does not take the language or task."""
    return HEADS[spec.head](spec, folder)


def longest(model_type: str, head: str, extractor: Mapping[str, Any]) -> float:
    """Seconds beyond which this feature extractor, by what its file says, drops what follows; 0: it drops nothing.

    Whisper's own recogniser has a window as well, but is asked window after window.
    """
    kind = extractor.get("feature_extractor_type")
    if kind == "WhisperFeatureExtractor" and not (model_type == "whisper" and HEADS[head] is Seq2Seq):
        return float(extractor.get("chunk_length") or 30)
    if kind == "ASTFeatureExtractor":  # frames of 25 ms every 10 ms
        return 0.01 * float(extractor.get("max_length") or 1024) + 0.015
    return 0.0


class Checkpoint(ABC):
    """A model with what comes before it. Subclasses say what its output means."""

    AUTO: ClassVar[str]  # transformers' class that finds the network
    classifies: ClassVar[bool] = False

    def __init__(self, spec: TransformersSpec, folder: str) -> None:
        import torch
        import transformers

        from sorigil.models.pretrained import quiet
        from sorigil.models.weights import misfit

        where = {"local_files_only": True, "trust_remote_code": False}
        network = getattr(transformers, self.AUTO)
        try:
            with quiet():
                self._extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, **where)
                self._model, info = network.from_pretrained(
                    folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **where
                )
                self._open(transformers, folder, where)
        except Exception as wrong:  # OSError, ValueError, KeyError, SafetensorError, …: whatever is in the folder
            said = f"{type(wrong).__name__}: {str(wrong).strip().splitlines()[0] if str(wrong).strip() else ''}"
            raise RequestError(f"{spec.name}: transformers cannot load it ({said})") from wrong
        missing = [name for name in sorted(info["missing_keys"]) if name.rpartition(".")[2] not in SAFE_TO_MISS]
        if missing:
            raise RequestError(f"{spec.name}: a network without trained weights: {misfit(missing, (), ())}")
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = self._model.eval().to(self._device)
        self._spec = spec
        self.sample_rate = int(self._extractor.sampling_rate)

    def hear(self, sounds: Sequence[Floats]) -> list[Hypothesis]:
        import torch

        from sorigil.models.pretrained import quiet

        found: list[Hypothesis | None] = [None] * len(sounds)
        enough = math.ceil(FEWEST_SECONDS * self.sample_rate)
        padded = [np.pad(samples, (0, max(0, enough - len(samples)))) for samples in sounds]
        with torch.inference_mode(), quiet():
            for batch in self._batches([len(samples) for samples in padded]):
                heard = self._hear([padded[row] for row in batch])
                for row, hypothesis in zip(batch, heard, strict=True):
                    found[row] = hypothesis
        return [each for each in found if each is not None]

    def _open(self, transformers: Any, folder: str, where: dict[str, Any]) -> None:
        """Whatever else is needed from the folder: of what writes text, the tokenizer."""
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **where)

    @abstractmethod
    def _hear(self, sounds: list[Floats]) -> list[Hypothesis]:
        """A hypothesis for each of a few sounds that may be heard together."""

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Rows to be heard together, of about the same length."""
        config = self._model.config
        masked = config.model_type in MASKED and config.feat_extract_norm == "layer"  # a group is normalised over time
        alone = not (masked or config.model_type in FIXED)
        batch: list[int] = []
        for row in sorted(range(len(lengths)), key=lengths.__getitem__):
            full = (len(batch) + 1) * lengths[row] > BATCH_SECONDS * self.sample_rate or len(batch) == MOST_TOGETHER
            if batch and (alone or full):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _inputs(self, sounds: list[Floats], **how: Any) -> Any:
        """What the network takes: of one sound as its extractor makes it, of several padded, with a mask."""
        several = len(sounds) > 1
        if several and self._model.config.model_type in MASKED:
            how = {"padding": True, "return_attention_mask": True, **how}
        made = self._extractor(
            sounds if several else sounds[0], sampling_rate=self.sample_rate, return_tensors="pt", **how
        )
        return made.to(self._device)


class Ctc(Checkpoint):
    """The best path, written by the checkpoint's tokenizer; as sure as the frames of its tokens are on average."""

    AUTO = "AutoModelForCTC"

    def _hear(self, sounds: list[Floats]) -> list[Hypothesis]:
        logits_BTV = self._model(**self._inputs(sounds)).logits.float().cpu()
        lengths = [logits_BTV.shape[1]]
        if len(sounds) > 1:
            lengths = [int(self._model._get_feat_extract_output_lengths(len(samples))) for samples in sounds]
        rows = zip(logits_BTV, lengths, strict=True)
        return [self._read(logits_TV[:length].softmax(-1).numpy()) for logits_TV, length in rows]

    def _read(self, posteriors_TV: Floats) -> Hypothesis:
        ids_T, sure_T = posteriors_TV.argmax(axis=1), posteriors_TV.max(axis=1)
        said_T = ids_T != self._model.config.pad_token_id  # the blank
        text = self._tokenizer.decode(ids_T).strip()
        return Hypothesis(id="", text=text, confidence=float(np.mean(sure_T[said_T] if said_T.any() else sure_T)))


class Seq2Seq(Checkpoint):
    """What the decoder writes, by the checkpoint's own settings of generation; as sure as it is of a token on average. A
    text that their `max_length` breaks off is marked as `unfinished`.

    What is longer than Whisper's window is heard as Whisper does it, window after window, and how sure it is is not known.
    """

    AUTO = "AutoModelForSpeechSeq2Seq"

    def _hear(self, sounds: list[Floats]) -> list[Hypothesis]:
        window = getattr(self._extractor, "n_samples", None) if self._model.config.model_type == "whisper" else None
        if window is not None and len(sounds[-1]) > window:
            short = [samples for samples in sounds if len(samples) <= window]
            long = [self._long(samples) for samples in sounds[len(short) :]]
            return [*(self._hear(short) if short else []), *long]
        made = self._generate(self._inputs(sounds), return_dict_in_generate=True, output_scores=True)
        texts = self._tokenizer.batch_decode(made.sequences, skip_special_tokens=True)
        rows = zip(texts, self._confidences(made), self._ended(made), strict=True)
        return [
            Hypothesis(id="", text=text.strip(), confidence=sure, extras={} if ended else {"unfinished": True})
            for text, sure, ended in rows
        ]

    def _long(self, samples: Floats) -> Hypothesis:
        inputs = self._inputs([samples], truncation=False, padding="longest", return_attention_mask=True)
        (text,) = self._tokenizer.batch_decode(self._generate(inputs, return_timestamps=True), skip_special_tokens=True)
        return Hypothesis(id="", text=text.strip(), confidence=math.nan)

    def _generate(self, inputs: Any, **how: Any) -> Any:
        said = {"language": self._spec.language, "task": self._spec.task}
        try:
            return self._model.generate(**inputs, **how, **{name: value for name, value in said.items() if value})
        except ValueError as wrong:  # a language that it does not know, a task for one that knows English only
            if not any(said.values()):
                raise
            raise RequestError(f"{self._spec.name}: {str(wrong).splitlines()[0][:200]}") from wrong

    def _ended(self, made: Any) -> list[bool]:
        """Of each row: was it the decoder that ended it? Then an end stands there, or what fills up behind one."""
        settings = self._model.generation_config
        ends = {*np.atleast_1d(settings.eos_token_id).tolist(), settings.pad_token_id}
        return [last in ends for last in made.sequences[:, -1].tolist()]

    def _confidences(self, made: Any) -> list[float]:
        """The mean probability of the tokens that are written, of each row; of an empty text that of its end."""
        beams = getattr(made, "beam_indices", None)
        sure_BN = self._model.compute_transition_scores(made.sequences, made.scores, beams, normalize_logits=True).exp()
        ids_BN = made.sequences[:, -sure_BN.shape[1] :]
        special = [*self._tokenizer.all_special_ids]
        found = []
        for ids_N, sure_N in zip(ids_BN.tolist(), sure_BN.tolist(), strict=True):
            written = [sure for token, sure in zip(ids_N, sure_N, strict=True) if token not in special]
            found.append(float(np.mean(written or sure_N[:1])))
        return found


class Classifier(Checkpoint):
    """The probability of each label: they add up to one, or each is for itself where a checkpoint says that several may
    hold at once."""

    AUTO = "AutoModelForAudioClassification"
    classifies = True

    def _open(self, transformers: Any, folder: str, where: dict[str, Any]) -> None:
        """It writes nothing."""

    def _hear(self, sounds: list[Floats]) -> list[Hypothesis]:
        logits_BC = self._model(**self._inputs(sounds)).logits.float().cpu()
        several = self._spec.objective == "tagging"
        shares_BC = (logits_BC.sigmoid() if several else logits_BC.softmax(-1)).tolist()
        return [Hypothesis(id="", scores=dict(zip(self._spec.outputs, shares, strict=True))) for shares in shares_BC]


HEADS: dict[str, type[Checkpoint]] = {  # by how the architectures end that transformers has for audio
    "ForCTC": Ctc,
    "ForConditionalGeneration": Seq2Seq,
    "ForSpeechToText": Seq2Seq,
    "SpeechEncoderDecoderModel": Seq2Seq,
    "ForAudioClassification": Classifier,
    "ForSequenceClassification": Classifier,
}
