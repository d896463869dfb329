/*
 * startup.h - brings a server up from its options, and takes it down.
 */
#ifndef AWS_STARTUP_H
#define AWS_STARTUP_H

#include <stdbool.h>

#include "options.h"
#include "server.h"

/* Room for one line of error text. */
#define STARTUP_ERROR_SIZE 512

/* Open everything that `options` name and listen. On failure nothing is left open, and `error` is one line that names
 * the thing and the reason. `server` is large: not for a stack. */
bool startup_open(struct server *server, const struct options *options, char error[STARTUP_ERROR_SIZE]);

/* Close what startup_open has opened; after server_run, or instead of it. */
void startup_close(struct server *server);

#endif
