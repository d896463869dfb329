/* Servers that do nothing worth a mark, or one odd thing; MODE says which. A thread for each client waits in recv. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum mode { PAUSE, SILENT, CLOSE, RESET, EMPTY_200, ALWAYS_404, ECHO, LEAKY, DEAF, ESCAPED, CHATTY, WRONG_PORT, EPOLL_FOR_SHOW,
            OVERRUN, CRASH, SHY, SUICIDE, HUSHED, FORKED, FORKED_LEAKY };

static const enum mode mode = MODE;

static void keep_nothing_of(size_t size)
{
    char *volatile lost = malloc(size); /* volatile: or gcc leaves the whole leak out */
    (void)lost;
}

static void write_beyond(size_t size)
{
    char *block = malloc(size);
    if (block)
        *(volatile char *)(block + size) = 1;
    free(block);
}

/* Says nothing of itself to a sanitizer, and beyond the heap's end valgrind would see it, too: so on the stack. */
const char *__asan_default_options(void)
{
    return "halt_on_error=0:exitcode=0:log_path=/dev/null:detect_stack_use_after_return=0";
}

__attribute__((no_sanitize_address)) static void write_beyond_the_stack(volatile size_t size)
{
    char block[16];
    memset(block, 0, sizeof block);
    *(volatile char *)(block + size) = 1;
}

/* Valgrind shows its client no vDSO. */
static bool is_under_valgrind(void)
{
    return getauxval(AT_SYSINFO_EHDR) == 0;
}

static void crash(void)
{
    if (is_under_valgrind())
        __builtin_trap();
}

static void *serve(void *argument)
{
    int client = (int)(long)argument;
    char request[4096] = "";
    size_t length = 0;
    ssize_t got;
    while (mode != CLOSE && mode != RESET && (got = recv(client, request + length, sizeof request - 1 - length, 0)) > 0) {
        length += (size_t)got;
        request[length] = '\0';
        if (strstr(request, "\r\n\r\n"))
            break;
    }
    const char *answer = "";
    switch (mode) {
    case SILENT:
        while (recv(client, request, sizeof request, 0) > 0)
            ;
        break;
    case CLOSE:
        break;
    case RESET:
        setsockopt(client, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        break;
    case ECHO:
        answer = request;
        break;
    case EMPTY_200:
        answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        break;
    default:
        answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    }
    if ((mode == LEAKY || mode == FORKED_LEAKY) && length)
        keep_nothing_of(77);
    if (mode == OVERRUN)
        write_beyond(77);
    if (mode == HUSHED)
        write_beyond_the_stack(16);
    if (mode == SUICIDE && is_under_valgrind() && fork() == 0)
        _exit(kill(getppid(), SIGKILL)); /* by another: valgrind would report before a suicide */
    if (mode == CRASH && length)
        crash();
    if (mode == CHATTY)
        fprintf(stderr, "\033[2J\033]0;owned\a\n::error::owned\n\xe2\x80\xae" "denwo\n");
    if (mode == SHY && is_under_valgrind())
        answer = "";
    send(client, answer, strlen(answer), MSG_NOSIGNAL);
    close(client);
    return NULL;
}

static void *wait_for_ever(void *argument)
{
    struct epoll_event event;
    for (;;)
        epoll_wait((int)(long)argument, &event, 1, -1);
    return NULL;
}

int main(int count, char **names)
{
    if (mode == PAUSE)
        return pause();
    if (mode == DEAF)
        signal(SIGTERM, SIG_IGN), signal(SIGINT, SIG_IGN);
    if (mode == ESCAPED && count == 1)
        execl(names[0], names[0], "again", (char *)NULL);
    if ((mode == FORKED || mode == FORKED_LEAKY) && fork())
        return pause(); /* the child serves */
    if (mode == CHATTY)
        for (int line = 0; line < 40000; line++)
            fprintf(stderr, "%d\n", line);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = mode == WRONG_PORT ? 8888 : htons(8888)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 100))
        return 1;
    if (mode == EPOLL_FOR_SHOW) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
        int poller = epoll_create1(0);
        epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
        pthread_t idle;
        pthread_create(&idle, NULL, wait_for_ever, (void *)(long)poller);
    }
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client >= 0 && pthread_create(&thread, &detached, serve, (void *)(long)client))
            close(client);
    }
}
