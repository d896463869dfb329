/*
 * options.h - what can be set on the command line, with its defaults.
 */
#ifndef AWS_OPTIONS_H
#define AWS_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#define AWS_VERSION "0.1.0"

/* Room for one line of error text. */
#define OPTIONS_ERROR_SIZE 256

struct options {
    const char *address;     /* to listen on, numeric */
    const char *root;        /* the document root */
    const char *trace;       /* file for state changes, or NULL */
    uint16_t port;           /* 0: a free one */
    size_t window;           /* bytes of one dynamic file in memory at once */
    size_t dynamic_memory;   /* bytes of all dynamic files in memory at once */
    size_t max_connections;  /* 0: as many as can have a file open each, by RLIMIT_NOFILE */
    int64_t head_timeout_ms; /* from the first moment to the end of the request's head */
    int64_t send_timeout_ms; /* without the client taking a byte */
};

enum options_verdict {
    OPTIONS_RUN,
    OPTIONS_HELP,    /* print options_help and exit 0 */
    OPTIONS_VERSION, /* print AWS_VERSION and exit 0 */
    OPTIONS_BAD,     /* print the error and exit 2 */
};

/* Read the command line into `options`. OPTIONS_BAD: `error` is one line that names the option and the way out. The
 * strings in `options` are those of `argv`. */
enum options_verdict options_parse(int argc, char *argv[], struct options *options, char error[OPTIONS_ERROR_SIZE]);

/* The text of --help. */
extern const char options_help[];

#endif
