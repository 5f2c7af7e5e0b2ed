"""Makes of ipc_bench's JSON what people read. Called by make, as `python3 bench/report COMMAND ...`:

    page BENCH.json PAGE.html       one page with everything in it (make report)
    keep BENCH.json FOLDER          a dated copy, shortened, to keep (make results)
    readme FOLDER README.md         plots and tables of the newest of these copies (make readme)

A field that a JSON does not have is left out, so a page can be made of any run, also of a part by --only.
"""
import pathlib
import sys

sys.dont_write_bytecode = True  # no __pycache__ among the sources


def main(arguments):
    match arguments:
        case ["page", source, target]:
            from page import page
            from rows import Run
            pathlib.Path(target).write_text(page(Run(source)), encoding="utf-8")
            print(target)
        case ["keep", source, folder]:
            from keep import keep
            keep(source, folder)
        case ["readme", folder, file]:
            from readme import readme
            readme(folder, file)
        case _:
            sys.exit(__doc__.strip())


if __name__ == "__main__":
    main(sys.argv[1:])
