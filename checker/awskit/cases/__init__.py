"""Case files: a failure as one file that anybody can see again (contract F1 to F3).

    matrix_command.py, matrix_page.py    the fault matrix: on the command line, as text, as a page
      |
    matrix.py, grid.py             every call under every fault, played; those as data, each cell a case
      |
      |   drawing.py               a replay as a picture, and its command
      |    |
    command.py           (cli.py)    replay, export and shrink on the command line
      |       \\             |
    shrink.py  export.py  kept.py    the smallest case that still fails; a case as a program of its own; the cases of a
      |          |          |        grading
    play.py      |        found.py   does what a case says; makes a case of what a failed check did (retold.py)
      |    \\     |          |
      |     \\  definitions.py       picks from runtime/ what a program of its own is made of
      |      \\              |
      |   answers.py, proof.py, played.py   what is expected of an answer, and of calls; what came of it all
      |          |          |
    target.py    |          |        the server: the reference, a submission in its box, or one at a port
           \\     |         /
            read.py, write.py        from the file and back; sound.py: what no case may say; places.py: at which line
                 |
              case.py                a case as data, and the schema of its file; entries.py: what its tree holds;
                 |                   steps.py: what happens
              kinds.py               what values a file may hold, and their bounds
"""
