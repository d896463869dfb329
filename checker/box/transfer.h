/*
 * transfer.h - calls that move bytes over a TCP connection, run in the target's place so that they move fewer.
 */
#ifndef BOX_TRANSFER_H
#define BOX_TRANSFER_H

#include "faults.h"
#include "target.h"

/* A receive, a send or a sendfile, by what `faults` say of it. What is no connection is run as it is. `due` is filled
 * in when the call is first asked about, and kept while it waits. */
struct answer transfer(const struct call *call, struct faults *faults, struct due *due);

/* accept(2): only refused, never run here. */
struct answer transfer_accept(const struct call *call, struct faults *faults);

#endif
