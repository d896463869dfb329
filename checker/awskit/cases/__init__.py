"""Case files: a failure as one file that anybody can see again (contract F1 to F3).

    command.py                     replay, export and shrink on the command line
      |    \\      \\
    shrink.py   export.py          the smallest case that still fails; a case as a program of its own,
      |         |    \\             which is made of the definitions in runtime.py (definitions.py picks them)
    play.py     |     definitions.py, runtime.py
      |    \\    |
      |   answers.py, proof.py     does what a case says; what is expected of an answer, and of the server's calls
      |         |
    target.py   |                  the server: the reference, a submission in its box, or one at a port
           \\   |
            read.py, write.py      from the file and back; sound.py: what no case may say; places.py: at which line
              |
            case.py                a case as data, and the schema of its file
              |
            kinds.py               what values a file may hold, and their bounds
"""
