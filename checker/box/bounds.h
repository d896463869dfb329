/*
 * bounds.h - what a process lets itself be bound to before it becomes a command that is not trusted: one word each.
 *
 *   limit:NAME:VALUE   setrlimit(2), soft and hard: core, cpu (seconds), data, fsize (bytes), nofile, nproc
 *   oom:VALUE          oom_score_adj (proc(5))
 *   write:PATH         Landlock: all may be done with files below PATH
 *   keep:PATH          Landlock: files below PATH may be written, but none made, removed or renamed
 *
 * With a `write` or a `keep`, nothing else on disk can be changed. Reading is never bound here.
 */
#ifndef BOX_BOUNDS_H
#define BOX_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the word is one of these. */
bool bounds_know(const char *word);

/* Put those of the `count` words that are known into force. 0, or a negative errno; `*failed` is then the word. */
int bounds_set(size_t count, char *const words[], const char **failed);

#endif
