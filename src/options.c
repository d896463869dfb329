/*
 * options.c - the command line (getopt_long(3)), checked value by value; nothing is opened or started here.
 */
#include "options.h"

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

const char options_help[] = "Usage: aws [OPTION]...\n"
                            "Serve the files below static/ and dynamic/ of the document root over HTTP.\n"
                            "\n"
                            "  -p, --port=N              listen on port N, 0 for a free one (8888)\n"
                            "  -a, --address=ADDRESS     listen on this numeric IPv4 or IPv6 address (0.0.0.0)\n"
                            "  -r, --root=DIRECTORY      document root (the working directory)\n"
                            "      --window=BYTES        of one dynamic file in memory at once (4M)\n"
                            "      --dynamic-memory=BYTES  of all dynamic files in memory at once (256M)\n"
                            "      --max-connections=N   at once; others wait to be accepted (0: half of the\n"
                            "                            descriptors that the process may open)\n"
                            "      --head-timeout=SECONDS  for a request to arrive (20)\n"
                            "      --send-timeout=SECONDS  for a client to take something of its answer (120)\n"
                            "      --trace=FILE          write a line for each change of a connection's state\n"
                            "  -V, --version\n"
                            "  -h, --help\n"
                            "\n"
                            "BYTES may end in K, M or G; at least 128K. SECONDS may have a fraction.\n";

/* A course file of 2 MiB is loaded whole, as the assignment describes; a large one costs no more than this. */
#define DEFAULT_WINDOW ((size_t)4 << 20)

/* Room for 64 such windows at once, on a machine that any student has. */
#define DEFAULT_DYNAMIC_MEMORY ((size_t)256 << 20)

/* A head is one or two packets: whoever needs longer is stuck, or holds a descriptor on purpose. */
#define DEFAULT_HEAD_TIMEOUT_MS 20000

/* A client that takes 1 KiB/s opens its window in steps of up to 64 KiB, a minute each: twice that. */
#define DEFAULT_SEND_TIMEOUT_MS 120000

/* A day: beyond it a timeout is none. */
#define TIMEOUT_MAX_S 86400.0

enum { OPT_WINDOW = 256, OPT_DYNAMIC_MEMORY, OPT_MAX_CONNECTIONS, OPT_HEAD_TIMEOUT, OPT_SEND_TIMEOUT, OPT_TRACE };

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"address", required_argument, NULL, 'a'},
    {"root", required_argument, NULL, 'r'},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"dynamic-memory", required_argument, NULL, OPT_DYNAMIC_MEMORY},
    {"max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS},
    {"head-timeout", required_argument, NULL, OPT_HEAD_TIMEOUT},
    {"send-timeout", required_argument, NULL, OPT_SEND_TIMEOUT},
    {"trace", required_argument, NULL, OPT_TRACE},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Read a decimal number of at most `max` at the start of `text`; what follows it goes to *rest. */
static bool read_number(const char *text, unsigned long long max, unsigned long long *number, const char **rest)
{
    char *end;
    /* strtoull(3) takes blanks and signs, and -1 for a large number. */
    if (*text < '0' || *text > '9')
        return false;
    *number = strtoull(text, &end, 10);
    *rest = end;
    return *number <= max && end - text <= 19;
}

static bool read_count(const char *text, unsigned long long max, size_t *count)
{
    unsigned long long number;
    const char *rest;
    if (!read_number(text, max, &number, &rest) || *rest != '\0')
        return false;
    *count = (size_t)number;
    return true;
}

static bool read_port(const char *text, uint16_t *port)
{
    size_t number;
    if (!read_count(text, UINT16_MAX, &number))
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool read_bytes(const char *text, size_t *bytes)
{
    unsigned long long number;
    const char *rest;
    unsigned shift = 0;

    if (!read_number(text, SIZE_MAX, &number, &rest))
        return false;
    if (*rest != '\0') {
        const char *suffix = strchr("KMG", *rest);
        if (!suffix || rest[1] != '\0')
            return false;
        shift = 10 * (unsigned)(*suffix == 'K' ? 1 : *suffix == 'M' ? 2 : 3);
    }
    *bytes = (size_t)number << shift;
    return number <= SIZE_MAX >> shift && *bytes >= POOL_BUFFER_SIZE;
}

static bool read_seconds(const char *text, int64_t *milliseconds)
{
    char *end;
    if (strspn(text, "0123456789.") != strlen(text))
        return false;
    double seconds = strtod(text, &end);
    if (*end != '\0' || seconds > TIMEOUT_MAX_S)
        return false;
    *milliseconds = (int64_t)(seconds * 1000);
    return *milliseconds > 0;
}

/* Store the value of the option `name`. Returns NULL, or what the value should have been. */
static const char *store(int name, const char *value, struct options *options)
{
    switch (name) {
    case 'p':
        return read_port(value, &options->port) ? NULL : "a port from 0 to 65535";
    case 'a':
        options->address = value;
        return NULL;
    case 'r':
        options->root = value;
        return NULL;
    case OPT_WINDOW:
        return read_bytes(value, &options->window) ? NULL : "a number of bytes from 128K, such as 4M";
    case OPT_DYNAMIC_MEMORY:
        return read_bytes(value, &options->dynamic_memory) ? NULL : "a number of bytes from 128K, such as 256M";
    case OPT_MAX_CONNECTIONS:
        return read_count(value, INT_MAX, &options->max_connections) ? NULL : "a number of connections";
    case OPT_HEAD_TIMEOUT:
        return read_seconds(value, &options->head_timeout_ms) ? NULL : "seconds from 0.001 to 86400";
    case OPT_SEND_TIMEOUT:
        return read_seconds(value, &options->send_timeout_ms) ? NULL : "seconds from 0.001 to 86400";
    default:
        options->trace = value;
        return NULL;
    }
}

/* The long name of the option that getopt_long returned as `value`. */
static const char *option_name(int value)
{
    const struct option *option = long_options;
    while (option->val != value)
        option++;
    return option->name;
}

enum options_verdict options_parse(int argc, char *argv[], struct options *options, char error[OPTIONS_ERROR_SIZE])
{
    int name;
    /* The word of the option that is looked at. optind may be at it still, at the x of "-xy", or behind it. */
    int word = 1;

    *options = (struct options){.address = "0.0.0.0",
                                .root = ".",
                                .port = 8888,
                                .window = DEFAULT_WINDOW,
                                .dynamic_memory = DEFAULT_DYNAMIC_MEMORY,
                                .head_timeout_ms = DEFAULT_HEAD_TIMEOUT_MS,
                                .send_timeout_ms = DEFAULT_SEND_TIMEOUT_MS};
    optind = 0; /* glibc's way to start over */
    /* "+": in the order given, nothing is moved to the end. */
    while ((name = getopt_long(argc, argv, "+:p:a:r:Vh", long_options, NULL)) != -1) {
        if (name == 'h')
            return OPTIONS_HELP;
        if (name == 'V')
            return OPTIONS_VERSION;
        if (name == '?' || name == ':') {
            snprintf(error, OPTIONS_ERROR_SIZE, "%s '%.100s'; try 'aws --help'",
                     name == '?' ? "unknown option or unwanted value:" : "a value is missing after", argv[word]);
            return OPTIONS_BAD;
        }
        const char *wanted = store(name, optarg, options);
        if (wanted) {
            snprintf(error, OPTIONS_ERROR_SIZE, "--%s wants %s, not '%.100s'", option_name(name), wanted, optarg);
            return OPTIONS_BAD;
        }
        word = optind;
    }
    if (optind < argc) {
        snprintf(error, OPTIONS_ERROR_SIZE, "there is nothing to be done with '%.100s'; try 'aws --help'",
                 argv[optind]);
        return OPTIONS_BAD;
    }
    return OPTIONS_RUN;
}
