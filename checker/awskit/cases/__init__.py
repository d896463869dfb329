"""Case files: a failure as one file that anybody can see again (contract F1 to F3).

    command.py            replay, export and shrink on the command line
      |    \\     \\
    shrink.py  export.py  (the smallest case that still fails; a case as a program of its own)
      |         |
    play.py, proof.py     (does what a case says, and judges; what the kernel saw of it)
      |    \\
    target.py  \\          (the server that a case is about: the reference, a submission, one at a port)
            \\   |
           read.py, sound.py, write.py, places.py  (from the file and back; what no case may say)
                |
              case.py     (a case as data, and the schema of its file)
                |
             kinds.py     (what values a file may hold, and their bounds)
"""
