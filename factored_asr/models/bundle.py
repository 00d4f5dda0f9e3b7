"""A model by name: the knowledge sources that belong together, and the settings that suit them.

There are four sorts:

* ``en-us``, the files that come with the pocketsphinx package;
* ``en-us-network``, a network whose encoder comes with another package, with the same words;
* a folder that `train`, `adapt` or `import` wrote (see folder.py);
* the folder of another toolkit (see importers/). One of Vosk's is converted to a folder of our own
  in the cache when it is first used.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from factored_asr._deprecated import old_names
from factored_asr.acoustic.model import AcousticModel
from factored_asr.acoustic.network.moonshine import encoder_path
from factored_asr.errors import FormatError, MissingError, ModelWarning
from factored_asr.models import en_us, en_us_network
from factored_asr.models.folder import ModelFolder
from factored_asr.models.kinds import MANIFEST, importer_of
from factored_asr.models.settings import COMMANDS, DICTATION, DecodeOptions
from factored_asr.models.zipped import is_zip, unpacked
from factored_asr.storage.reading import files_in

NETWORK = "en-us-network"
DEFAULT_MODEL = "en-us-network"
"""Of English, where no model is named."""
DICTATION_LM = Path("lm", "english.lm.zip")
DICTATION_WORDS = Path("lexicons", "books.dict")
"""What is shipped for dictation; made by tests/bench/build_lm.py."""


def default_model() -> str:
    """Return the name of the model that is used where none is named.

    It is `DEFAULT_MODEL`; where that is the network and its package is not installed, ``en-us``,
    with a `ModelWarning`.
    """
    if DEFAULT_MODEL == NETWORK:
        try:
            encoder_path()
        except MissingError as error:
            warnings.warn(f"{error}; en-us is used now", ModelWarning, stacklevel=3)
            return "en-us"
    return DEFAULT_MODEL


@dataclass(frozen=True)
class Bundle:
    """The files of one model."""

    name: str
    """The name or path that was asked for."""
    acoustic: Path
    """Folder of the acoustic model."""
    lexicon: Path | None = None
    """Its pronunciation dictionary, if it brings one."""
    lm: Path | None = None
    """Its language model, if it brings one."""
    dictation: DecodeOptions = DICTATION
    """Settings for an n-gram model."""
    commands: DecodeOptions = COMMANDS
    """Settings for a grammar."""
    front_end: Mapping[str, Any] = field(default_factory=dict)
    """Options of its front end that its own files do not name."""
    folder: ModelFolder | None = None
    """Its manifest and files, if it is a folder of our own."""
    words: Path | None = None
    """Words that extend its dictionary, if it brings such a file."""
    own_conversation: DecodeOptions | None = None
    """Settings for what is said to a dialogue, where they differ more than by what
    `DecodeOptions.for_conversation` changes of `commands`."""

    @property
    def conversation(self) -> DecodeOptions:
        """Settings for what is said to a dialogue."""
        return self.own_conversation or self.commands.for_conversation()

    @property
    def graph(self) -> Path | None:
        """The folder of a graph of dictation that came with it; None if there is none."""
        return self.folder.graph if self.folder else None

    @property
    def instead_of_lm(self) -> str:
        """What it has in place of a language model, and what to do: the end of a message."""
        if self.graph is None:
            return "brings no language model: give one, or a grammar"
        return ("has its language model in a compiled graph, for plain dictation alone: new words, "
                "explanations and other models in a second pass need one here: give it by --lm")

    @staticmethod
    def find(model: str | Path | None = None) -> Bundle:
        """Return the bundle of a model's name, folder or zip file; MissingError if there is none.

        None (default): `default_model`.

        >>> Bundle.find("en-us").lexicon.name
        'cmudict-en-us.dict'
        """
        model = model or default_model()
        if str(model) == NETWORK:
            return Bundle._en_us_network()
        if str(model) == "en-us":
            home = en_us.pocketsphinx_model_path()
            return Bundle(
                "en-us", home / "en-us", home / "cmudict-en-us.dict", home / "en-us.lm.bin",
                en_us.EN_US_DICTATION, en_us.EN_US_COMMANDS, en_us.EN_US_FRONT_END,
            )
        folder = unpacked(model) if is_zip(model) else Path(model)
        if ModelFolder.is_one(folder):
            return Bundle._from_folder(str(model), ModelFolder.open(folder))
        if (found := _of_vosk(folder)) is not None:
            return Bundle._from_folder(str(model), found)
        if importer_of(folder) is None:
            raise MissingError(
                f"no model '{model}': known are en-us and en-us-network; a model folder holds a "
                f"file {MANIFEST}, or mdef if it is Sphinx's, final.mdl if it is Kaldi's, "
                "am/final.mdl if it is Vosk's"
            )
        lexicons = files_in(folder, "*.dict")
        models = [file for end in ("*.lm.bin", "*.arpa", "*.arpa.gz")
                  for file in files_in(folder, end)]
        return Bundle(str(model), folder, lexicons[0] if lexicons else None,
                      models[0] if models else None)

    @staticmethod
    def _en_us_network() -> Bundle:
        """The network, with the dictionary of en-us and what is shipped for dictation."""
        encoder_path()  # where it is missing, nothing else is worth reading
        home = en_us.pocketsphinx_model_path()
        folder = ModelFolder.open(en_us_network.FOLDER)
        return Bundle(
            "en-us-network", folder.path, home / "cmudict-en-us.dict", shipped(DICTATION_LM),
            en_us_network.NETWORK_DICTATION, en_us_network.NETWORK_COMMANDS, folder=folder,
            words=shipped(DICTATION_WORDS), own_conversation=en_us_network.NETWORK_CONVERSATION,
        )

    @staticmethod
    def _from_folder(name: str, folder: ModelFolder) -> Bundle:
        given = {
            kind: DecodeOptions.from_dict(values, folder.path / MANIFEST)
            for kind, values in folder.about.settings.items()
        }
        unknown = given.keys() - {"dictation", "commands", "conversation"}
        if unknown:
            raise FormatError(f"settings of no known kind: {min(unknown)!r}", folder.path)
        return Bundle(
            name, folder.path, folder.files.get("lexicon"), folder.files.get("lm"),
            given.get("dictation", DICTATION), given.get("commands", COMMANDS), folder=folder,
            own_conversation=given.get("conversation"),
        )

    @property
    def hmms(self) -> object:
        """What graphs depend on of the acoustic model, for a `content_key`: a network's phones, the
        units of a chain model, and the files of any other."""
        facts = self.folder.acoustic if self.folder else {}
        if facts.get("kind") == "network":
            return "network", facts.get("phones")
        if facts.get("kind") == "chain":
            return "chain", facts.get("phones"), facts.get("units"), facts.get("step")
        return self.acoustic

    def acoustic_model(self) -> AcousticModel:
        """Read the acoustic model."""
        if self.folder is not None:
            return self.folder.acoustic_model()
        read = importer_of(self.acoustic)
        if read is None:
            raise MissingError(f"{self.acoustic}: holds no acoustic model")
        return read(self.acoustic, self.front_end)


def packaged(path: str | Path) -> Path:
    """Return a path; one that does not exist may name a file installed with the package.

    >>> packaged("lm/smart_home.yaml").is_file()
    True
    """
    path = Path(path)
    if not path.exists() and path.parent.name in ("lm", "lexicons") and len(path.parts) == 2:
        return shipped(path)
    return path


def _of_vosk(folder: Path) -> ModelFolder | None:
    """A folder of Vosk, converted; None for another. Few need what it takes to read one."""
    if not any((folder / name).is_file() for name in ("am/final.mdl", "final.mdl")):
        return None
    from factored_asr.models.importers.vosk import VoskFiles, converted

    files = VoskFiles.find(folder)
    return None if files is None else converted(files)


def shipped(path: Path) -> Path:
    """Return the file of this name that is installed with the package, or the path itself."""
    homes = [home / path for home in Path(__file__).parents[1:3]]
    return next((file for file in homes if file.is_file()), path)


__getattr__ = old_names(__name__)
