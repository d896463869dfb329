/*
 * contexts.h - how many Linux AIO requests the target may reserve: fs.aio-max-nr is one figure for the whole machine,
 * in no namespace, and one server could take it all (io_setup(2)).
 */
#ifndef BOX_CONTEXTS_H
#define BOX_CONTEXTS_H

#include "target.h"

/* io_setup(2): run while the target's contexts stay within `most` requests in all, else -EAGAIN as from the kernel. A
 * quarter is always to be had; more only while half of what the machine has stays for others. */
struct answer contexts_setup(const struct call *call, size_t most);

/* io_destroy(2) of a context that is there will be run. */
void contexts_destroy(const struct call *call);

#endif
