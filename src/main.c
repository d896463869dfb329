/*
 * main.c - options, signals, open, run, close; the only exit.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "options.h"
#include "startup.h"
#include "sys.h"

enum { EXIT_USAGE = 2 };

/* Not on the stack: it is large, and the signal handler wakes it. */
static struct server server;
static volatile sig_atomic_t stop;

/* The flag alone may be set just before the loop begins to wait. Letting the signal in only while epoll_pwait(2) waits
 * is no way out: that call looks for signals when it has no event to report, which under load is never. */
static void request_stop(int signal)
{
    (void)signal;
    stop = 1;
    server_wake(&server);
}

/* SIGTERM and SIGINT ask to stop, whatever the mask that was inherited. */
static void set_up_stop(void)
{
    sigset_t stops;
    struct sigaction action = {.sa_handler = request_stop, .sa_flags = SA_RESTART};

    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigprocmask(SIG_UNBLOCK, &stops, NULL);
}

/* Each connection needs a descriptor or two: take all that we may have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (sys_getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    sys_setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve(const struct options *options)
{
    char error[STARTUP_ERROR_SIZE];

    signal(SIGPIPE, SIG_IGN); /* send has MSG_NOSIGNAL, sendfile has nothing of the kind */
    signal(SIGXFSZ, SIG_IGN); /* a trace may reach the limit of a file's size */
    tzset();                  /* else gmtime_r(3) reads the time zone's file inside the loop, once */
    raise_descriptor_limit();
    if (!startup_open(&server, options, error)) {
        fprintf(stderr, "aws: %s\n", error);
        return EXIT_FAILURE;
    }
    set_up_stop();
    printf("listening on port %u\n", (unsigned)server.listener.port);
    fflush(stdout);
    server_run(&server, &stop);
    startup_close(&server);
    return EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
    struct options options;
    char error[OPTIONS_ERROR_SIZE];

    switch (options_parse(argc, argv, &options, error)) {
    case OPTIONS_HELP:
        fputs(options_help, stdout);
        return EXIT_SUCCESS;
    case OPTIONS_VERSION:
        puts("aws " AWS_VERSION);
        return EXIT_SUCCESS;
    case OPTIONS_BAD:
        fprintf(stderr, "aws: %s\n", error);
        return EXIT_USAGE;
    case OPTIONS_RUN:
        break;
    }
    return serve(&options);
}
