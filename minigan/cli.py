"""The command line: argument parsing only; every command calls one function of `minigan.run` or `minigan.lessons`.

Heavy modules are imported by the command that needs them, so that `minigan --help` is quick.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, NoReturn, TextIO

from minigan import interrupted, launched

TYPE_CHECKING = False  # as in `typing`, which is not imported for it
if TYPE_CHECKING:
    from minigan.run.recorder import Result

SETTINGS = (
    "data",
    "size",
    "crop",
    "grey",
    "range",
    "key",
    "kind",
    "length",
    "rate",
    "steps",
    "batch_size",
    "seed",
)  # options of `train` that are settings of every model


ON_RANKS = ("train", "resume")  # what mpiexec may start several times


class Command(NamedTuple):
    """A command: its line of help, what adds its arguments, and what carries it out and returns the exit code."""

    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-h", "--help", action="store_true", help="show this, and with MODEL all its settings")
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL|FILE.py[:Class]",
        help="see: minigan models; or a file with a model of your own",
    )
    parser.add_argument(
        "--data",
        metavar="NAME|PATH",
        help="see: minigan datasets; or a folder or .zip of pictures, .npy, .npz, .csv, ...; a=NAME,b=NAME for two; NAME+MAP",
    )
    parser.add_argument("--size", metavar="N|HxW", help="resize images")
    parser.add_argument("--crop", action="store_const", const="true", help="the middle of images of another aspect")
    parser.add_argument("--grey", action="store_const", const="true", help="images in one channel")
    parser.add_argument("--range", metavar="A..B", help="of arrays of images: what becomes -1 and 1")
    parser.add_argument("--key", metavar="NAME", help="the array of an .npz, the column of labels of a table")
    parser.add_argument("--kind", metavar="tokens|audio|video", help="what a .txt, arrays or a folder hold")
    parser.add_argument(
        "--length", metavar="L", help="of text, sounds and films: characters, samples, pictures a piece"
    )
    parser.add_argument("--rate", metavar="R", help="of arrays of sounds or films: samples, or pictures, a second")
    parser.add_argument("--offline", action="store_true", help="download nothing (or: MINIGAN_OFFLINE=1)")
    parser.add_argument("--steps", metavar="N", help="steps to train")
    parser.add_argument("--batch-size", metavar="B", help="examples a step")
    parser.add_argument("--seed", metavar="S", help="seed of all random numbers")
    parser.add_argument(
        "--device",
        choices=("cpu", "gpu"),
        default="cpu",
        help="where to compute (default: cpu); on a gpu steps run as CUDA graphs, unless MINIGAN_GRAPHS=0",
    )
    parser.add_argument("--out", metavar="DIR", help="the run's folder (default: runs/MODEL-DATA-seedS)")
    _save_argument(parser, "by default 5 times a run, and every 10 minutes", "by default for 2 %% of the time")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="key=value", help="other settings of the model"
    )


def _save_argument(parser: argparse.ArgumentParser, save: str, live: str) -> None:
    parser.add_argument(
        "--save-every", metavar="STEPS|SECONDS", help=f"the longest without a checkpoint: 500, or 30s ({save})"
    )
    parser.add_argument(
        "--live-every", metavar="STEPS|SECONDS|0", help=f"metrics while training: each 500, or 30s; 0 for none ({live})"
    )
    parser.add_argument(
        "--reduce",
        metavar="fast|ordered[:SHARDS]",
        help="how several ranks (mpiexec -n N minigan ...) add up; ordered: the same bits for every N up to SHARDS, 8 by default",
    )
    parser.add_argument("--no-preview", action="store_true", help="draw no samples on the terminal while training")


def _shown_and_saved(args: argparse.Namespace) -> dict[str, Any]:
    words = {"save_every": args.save_every, "live_every": args.live_every, "reduce": args.reduce}
    return {**words, "preview": not args.no_preview}


def _train(args: argparse.Namespace) -> int:
    from minigan import gans
    from minigan.run import references, settings

    name = gans.DEFAULT if args.model is None else args.model
    if args.help:
        text = settings.help_text(references.resolve(name))
        args.parser.print_help()
        print("\n" + text)
        return 0
    if args.offline:
        os.environ["MINIGAN_OFFLINE"] = "1"
    texts = settings.pairs(args.set)
    for key in SETTINGS:
        if (value := getattr(args, key)) is not None:
            if key in texts:
                args.parser.error(f"--{key.replace('_', '-')} and --set {key}= are both given: keep one")
            texts[key] = value
    if args.model is None:
        texts.setdefault("data", gans.DEFAULT_DATA)
    from minigan.run import trainer

    return _ended(trainer.train(name, texts, device=args.device, out=args.out, **_shown_and_saved(args)))


def _resume_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="the run's folder")
    parser.add_argument("--steps", metavar="N", help="the last step (default: the one the run was begun with)")
    parser.add_argument("--data", metavar="NAME|PATH", help="where the run's data is now; it must be the same data")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="key=value",
        help="settings to change from here on: lr=1e-4",
    )
    _save_argument(parser, "as before", "as before")
    _model_argument(parser)


def _model_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        metavar="FILE.py[:Class]",
        help="the run's model, where its file has moved or changed: it is imported because you say so",
    )


def _resume(args: argparse.Namespace) -> int:
    from minigan.run import settings, trainer

    texts = settings.pairs(args.set)
    when = _shown_and_saved(args)
    return _ended(trainer.resume(args.dir, steps=args.steps, model=args.model, data=args.data, texts=texts, **when))


def _ended(result: Result) -> int:
    """Tell how a run ended. Whether anybody reads it changes nothing about that."""
    try:
        print(result.text, flush=True)
    except (OSError, ValueError):
        _without_stdout()
    return result.code


def _sample_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="the run's folder")
    parser.add_argument("-n", type=int, default=64, metavar="N", help="how many (default: 64)")
    parser.add_argument("--seed", type=int, metavar="S", help="seed of the noise (default: the run's)")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="FILE.png: a picture; FILE.npy: an array (N, H, W, C) float32 in [-1, 1], or (N, d) in the data's units "
        "(default: a picture in DIR/samples)",
    )
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="key=value", help="what to draw: label=3, or label=3,5"
    )
    _best_argument(parser)
    _model_argument(parser)


def _best_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--best", action="store_true", help="from the best checkpoint by the model's own number, not the newest"
    )


def _sample(args: argparse.Namespace) -> int:
    from minigan.run import sampling, settings

    asked = settings.pairs(args.set)
    print(
        sampling.sample(
            args.dir, args.n, seed=args.seed, out=args.out, asked=asked, model=args.model, of_best=args.best
        )
    )
    return 0


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="the run's folder")
    parser.add_argument(
        "--safetensors", required=True, metavar="FILE", help="where to: FILE.safetensors, which must not exist"
    )
    _best_argument(parser)
    _model_argument(parser)


def _export(args: argparse.Namespace) -> int:
    from minigan.run import export

    print(export.export(args.dir, args.safetensors, of_best=args.best, model=args.model))
    return 0


def _best_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="the run's folder")


def _best(args: argparse.Namespace) -> int:
    from minigan.run import export

    print(export.best(args.dir))
    return 0


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", nargs="?", metavar="DIR", help="the run's folder")
    _samples_arguments(parser)
    parser.add_argument("--slow", action="store_true", help="measure too what takes minutes")
    parser.add_argument(
        "--metric",
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE.py",
        help="files of your own that register metrics",
    )
    parser.add_argument(
        "--features",
        nargs=2,
        metavar=("REAL.npy", "FAKE.npy"),
        help="instead of DIR: features that another network gave",
    )
    _model_argument(parser)


def _samples_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", type=int, metavar="N", help="samples (default: 5000 images or 2500 points, at most half of the data)"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="seed of the samples (default: the run's)")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON, for programs")


def _evaluate(args: argparse.Namespace) -> int:
    if (args.dir is None) == (args.features is None):
        args.parser.error("expected either DIR, the folder of a run, or --features REAL.npy FAKE.npy")
    from minigan.run import evaluation

    if args.features:
        if args.n is not None or args.model or args.slow:
            args.parser.error("-n, --model and --slow go with DIR, not with --features")
        words = {"as_json": args.json, "seed": args.seed or 0, "files": args.metric}
        print(evaluation.evaluate_features(*args.features, **words))
        return 0
    words = {"n": args.n, "seed": args.seed, "as_json": args.json, "model": args.model, "slow": args.slow}
    print(evaluation.evaluate(args.dir, **words, files=args.metric))
    return 0


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dirs", nargs="*", metavar="DIR", help="the runs' folders, two or more, trained on the same data"
    )
    _samples_arguments(parser)
    parser.add_argument("--out", metavar="FILE.png", help="the picture (default: compare.png, or compare-2.png, ...)")


def _compare(args: argparse.Namespace) -> int:
    from minigan.run import comparing

    print(comparing.compare(args.dirs, n=args.n, seed=args.seed, out=args.out, as_json=args.json))
    return 0


def _diagnose_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="the run's folder, of a run that has ended or goes on")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON, for programs")
    parser.add_argument(
        "--held-out",
        metavar="NAME|PATH",
        help="for data of your own: examples like them that the run was not trained on, to see whether D knows its own by heart",
    )
    _model_argument(parser)


def _diagnose(args: argparse.Namespace) -> int:
    from minigan.run import diagnosis

    print(diagnosis.diagnose(args.dir, as_json=args.json, model=args.model, held_out=args.held_out))
    return 0


def _plot_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="the run's folder; the pictures go to DIR/plots")
    parser.add_argument("--csv", metavar="FILE", help="no pictures: the lines of metrics.jsonl as CSV")
    parser.add_argument(
        "--tensorboard", metavar="FOLDER", help="no pictures: the same as an event file of TensorBoard's"
    )
    _model_argument(parser)


def _plot(args: argparse.Namespace) -> int:
    from minigan.run import plotting

    print(plotting.plot(args.dir, csv=args.csv, tensorboard=args.tensorboard, model=args.model))
    return 0


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def _models(args: argparse.Namespace) -> int:
    from minigan.run import listing

    print(listing.models())
    return 0


def _datasets(args: argparse.Namespace) -> int:
    from minigan.run import listing

    print(listing.datasets())
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from minigan.run import doctor

    return doctor.doctor()


def _lessons_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "minigan lessons [--dir DIR]\n"
        "       minigan lessons start N [N ...]\n"
        "       minigan lessons run N [N ...] [--fast] [--solutions] [--out DIR] [--dir DIR]\n"
        "       minigan lessons build [--only N ...] [--fast] [--out DIR] [--dir DIR]"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "without an action: the list of the lessons. start: a copy in ./lessons to work on.\n"
        "run: each as a script, then a line on its checks and exercises; ./lessons comes before what is installed.\n"
        "build: all as notebooks and as a static site. A check that does not hold, a lesson that raises and a\n"
        "solution that is wrong end with exit code 4; exercises that are open or wrong do not."
    )
    parser.add_argument(
        "action", nargs="?", default="list", metavar="ACTION", help="list, start, run or build (default: list)"
    )
    parser.add_argument("lessons", nargs="*", metavar="N", help="start, run: which, by number, name or path, or all")
    parser.add_argument("--fast", action="store_true", help="small sizes; the same checks and tolerances")
    parser.add_argument("--solutions", action="store_true", help="run: grade the solutions of the exercises")
    parser.add_argument("--only", nargs="+", action="extend", default=[], metavar="N", help="build: these lessons only")
    parser.add_argument(
        "--out", metavar="DIR", help="run: folder for figures (runs/lessons); build: for the site (site)"
    )
    parser.add_argument(
        "--dir", metavar="DIR", help="where the lessons are (default: in the checkout, or as installed)"
    )


def _lessons(args: argparse.Namespace) -> int:
    from minigan.lessons import commands

    print(commands.lessons(**{key: value for key, value in vars(args).items() if key != "parser"}))
    return 0


def _lab_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", nargs="?", metavar="DIR", help="the folder of a run to be shown, finished or going on")
    parser.add_argument("--port", type=int, metavar="N", help="on 127.0.0.1 (default: the first free one from 8765 on)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open nothing")


def _lab(args: argparse.Namespace) -> int:
    from minigan.lab import commands

    commands.lab(args.dir, port=args.port, browser=not args.no_browser)


def _completion_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "tcsh"), help="bash, zsh or tcsh")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        'bash: eval "$(minigan completion bash)" in ~/.bashrc; zsh: minigan completion zsh > a file _minigan in a folder\n'
        "of $fpath; tcsh: minigan completion tcsh > a file that ~/.tcshrc sources"
    )


def _completion(args: argparse.Namespace) -> int:
    from minigan.run import completion

    whole = _top_parser()
    commands = whole.add_subparsers()
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.help, parents=[_command_parser(name)], add_help=False)
    print(completion.script(args.shell, whole))
    return 0


COMMANDS = {
    "train": Command("train a model; without arguments the default one, on embedded data", _train_arguments, _train),
    "resume": Command("go on with an interrupted run, or train a finished one for longer", _resume_arguments, _resume),
    "sample": Command("draw from a trained model", _sample_arguments, _sample),
    "plot": Command("make all pictures of a run, or its numbers as CSV or for TensorBoard", _plot_arguments, _plot),
    "diagnose": Command(
        "say what goes wrong in a run, by which numbers, and what to try", _diagnose_arguments, _diagnose
    ),
    "evaluate": Command("measure a trained model, and print and store the table", _evaluate_arguments, _evaluate),
    "compare": Command("measure several runs side by side, with a picture", _compare_arguments, _compare),
    "best": Command("say which checkpoint is the best by the model's own number", _best_arguments, _best),
    "export": Command("write a run's weights for other programs", _export_arguments, _export),
    "models": Command("list the models", _no_arguments, _models),
    "datasets": Command("list the data sets", _no_arguments, _datasets),
    "doctor": Command("look at the installation and test it", _no_arguments, _doctor),
    "lessons": Command("list the lessons, run them, or build their site", _lessons_arguments, _lessons),
    "lab": Command("watch GANs learn on a page in the browser, and change them as they do", _lab_arguments, _lab),
    "completion": Command("print what a shell needs to complete command lines", _completion_arguments, _completion),
}
EXIT_CODES = (
    "exit codes: 0 done, 2 usage, 3 diverged, 4 bad data, checkpoint, lesson or model file, 5 out of memory or disk,\n"
    "130 Ctrl-C, 143 SIGTERM or 129 SIGHUP, after a checkpoint"
)


def _top_parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="minigan",
        description="A GAN engine that a person can read.",
        usage="minigan COMMAND [...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog=f"commands:\n{lines}\n\nminigan COMMAND --help tells more.\n\n{EXIT_CODES}",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    return parser


def _parse_top(argv: Sequence[str]) -> None:
    """What stands in no command: nothing, --help, --version, or a mistake."""
    parser = _top_parser()
    args, words = parser.parse_known_args(argv)
    word = words[0] if words else ""
    if not words and args.version:
        from minigan.version import __version__

        print(f"minigan {__version__}")
    elif not words:
        parser.print_help()
    elif word.startswith("-"):
        parser.error(_unknown_option(word, words))
    elif word in COMMANDS:
        parser.error(f"{argv[0]} and {word}: expected minigan {argv[0]} alone, or the command first: minigan {word}")
    else:
        parser.error(f"unknown command {word!r}{_closest(word, COMMANDS)} Commands: {', '.join(COMMANDS)}")


def _unknown_option(word: str, words: Sequence[str]) -> str:
    """What to say to an option before any command."""
    option = word.partition("=")[0]
    owner = next((w for w in words if w in COMMANDS), "")
    owners = [owner] if owner else [name for name in COMMANDS if option in _options(_command_parser(name))]
    if owners:
        return f"unknown option {word}: options of a command stand behind it, as in: minigan {owners[0]} {word}"
    return f"unknown option {word}{_closest(option, ('--help', '--version'))} See: minigan --help"


def _closest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]}?" if close else "."


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [name for action in parser._actions for name in action.option_strings]


def _command_parser(name: str) -> argparse.ArgumentParser:
    command = COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=f"minigan {name}", description=command.help[0].upper() + command.help[1:] + ".", allow_abbrev=False,
        add_help=name != "train",
    )  # fmt: skip
    command.arguments(parser)
    return parser


def _parse(argv: Sequence[str]) -> argparse.Namespace | None:
    """The arguments of a command, with its name; None when help or the version was all that was asked for."""
    if not argv or argv[0] not in COMMANDS:
        _parse_top(argv)
        return None
    parser = _command_parser(argv[0])
    # Intermixed, because Python before 3.12 gives an optional MODEL up once an option stands before it.
    args, unknown = parser.parse_known_intermixed_args(argv[1:])
    if unknown:
        option = next((word for word in unknown if word.startswith("-")), "")
        hint = _closest(option.partition("=")[0], _options(parser)) if option else "."
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint} See: minigan {argv[0]} --help")
    _refuse_empty(parser, args)
    args.parser = parser
    return args


def _refuse_empty(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """An empty text names nothing: in scripts it is what a variable that was not set leaves behind."""
    for action in parser._actions:
        value = getattr(args, action.dest, None)
        if "" in (value if isinstance(value, list) else [value]):
            name = action.option_strings[-1] if action.option_strings else str(action.metavar)
            parser.error(
                f"{name}: got an empty text, expected {action.metavar or 'a value'}; leave it out for the default"
            )


def _run(argv: Sequence[str]) -> int:
    try:
        code = _carried_out(argv)
        if not sys.stdout.closed:  # by a model's own file, say
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        return _without_stdout()
    except (Exception, KeyboardInterrupt) as error:
        return _report(error)


def _carried_out(argv: Sequence[str]) -> int:
    try:
        args = _parse(argv)
        if args is not None and argv[0] not in ON_RANKS and (ranks := launched.count()) > 1:
            args.parser.error(
                f"runs on one rank, not on {ranks}: without mpiexec. On several run {' and '.join(ON_RANKS)}"
            )
        return COMMANDS[argv[0]].run(args) if args is not None else 0
    except SystemExit as stop:  # argparse's way to end
        return stop.code if isinstance(stop.code, int) else 2


def _without_stdout() -> int:
    """Nobody reads stdout any more (`| head`), which is no error; put it aside, so that nothing complains at exit."""
    _let_go(sys.stdout)
    return 0


def _let_go(stream: TextIO) -> None:
    """Put a stream aside that cannot be written: what is left in it Python would write at its end, and end with 120 for that."""
    if stream.closed:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_streams() -> None:
    """Where the parent process closed stdin, stdout or stderr (`>&-`), open nothing in its place.

    Otherwise the next file that is opened gets its number, and whoever writes to stderr by number writes into a checkpoint.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - to the end
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - to the end


def _report(error: BaseException) -> int:
    """The message of an error on stderr; returns the exit code."""
    code, message = _outcome(error)
    if os.environ.get("MINIGAN_DEBUG"):
        import traceback

        traceback.print_exception(error)
    try:
        print(f"minigan: {message}", file=sys.stderr, flush=True)
    except (OSError, ValueError):  # nobody reads it: the exit code still tells
        return code
    return code


def _outcome(error: BaseException) -> tuple[int, str]:
    if isinstance(error, KeyboardInterrupt):  # at once: nothing is imported for it
        return interrupted.CODE, "stopped"
    from minigan.run.errors import outcome

    return outcome(error)


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names need not be text that the terminal can show
            stream.reconfigure(errors="backslashreplace")
    return _run(sys.argv[1:] if argv is None else list(argv))


def program() -> NoReturn:
    """`minigan`, as installed."""
    _open_streams()
    try:
        code = main()
    finally:
        interrupted.ignore()
    for stream in (sys.stdout, sys.stderr):
        _let_go(stream)
    sys.exit(code)
