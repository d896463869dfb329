/*
 * answer.c - what is the matter with this request, and what does the server say to it?
 *
 *   request --> finding (and an open document) --> status --> head in write_buff
 *
 * Nothing is sent and no state is changed here.
 */
#include "answer.h"

#include <stdlib.h>

#include "document.h"
#include "mime.h"
#include "profile.h"
#include "response.h"
#include "sys.h"

static enum finding finding_of_problem(const struct request *request)
{
    switch ((enum request_problem)request->problem) {
    case REQUEST_HEAD_TOO_LARGE:
        return FINDING_HEAD_TOO_LARGE;
    case REQUEST_TARGET_TOO_LONG:
        return FINDING_TARGET_TOO_LONG;
    case REQUEST_NO_MEMORY:
        return FINDING_SERVER_EXHAUSTED;
    case REQUEST_FINE:
    case REQUEST_MALFORMED:
        break;
    }
    return FINDING_MALFORMED;
}

/* Find what a complete request asks for. A FINDING_FILE fills `document`, `path` and conn->body. */
static enum finding find_document(struct connection *conn, char *path, struct document *document)
{
    const struct request *request = &conn->request;

    /* HTTP/0.9 has no version and would want an answer without a head; HTTP/2 does not come in this form. */
    if (request->parser.http_major != 1)
        return FINDING_MALFORMED;
    if (request->parser.method != HTTP_GET && request->parser.method != HTTP_HEAD)
        return FINDING_METHOD;

    enum resource_kind kind = resource_find(request->target, request->target_length, path);
    if (kind == RESOURCE_NONE)
        return FINDING_NOTHING;
    enum finding finding = document_open(conn->shared->root, path, document);
    if (finding == FINDING_FILE)
        conn->body = kind;
    return finding;
}

static void adopt_document(struct connection *conn, const struct document *document)
{
    conn->file = document->fd;
    conn->size = document->size;
    load_init(&conn->load, document->fd, document->size, conn);
}

static time_t wall_clock(void)
{
    struct timespec now = {0};
    sys_clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

bool answer_prepare(struct connection *conn, enum request_verdict verdict)
{
    char path[REQUEST_TARGET_MAX + 1];
    struct document document = {.fd = -1};

    conn->head = malloc(RESPONSE_SIZE_MAX);
    if (!conn->head)
        return false;

    enum finding finding =
        verdict == REQUEST_DONE ? find_document(conn, path, &document) : finding_of_problem(&conn->request);
    bool head_only = verdict == REQUEST_DONE && conn->request.parser.method == HTTP_HEAD;
    struct response response = {.status = profile_status(finding), .now = wall_clock(), .head_only = head_only};
    if (finding == FINDING_FILE) {
        adopt_document(conn, &document);
        response.length = document.size;
        response.type = mime_type(path);
        response.last_modified = document.modified;
    }
    if (head_only || conn->size == 0)
        conn->body = RESOURCE_NONE;
    conn->write_buff = conn->head;
    conn->write_length = response_write(&response, conn->head);
    conn->must_linger = verdict == REQUEST_BAD || conn->request.more_follows;
    request_destroy(&conn->request);
    return true;
}
