/*
 * answer.h - from a complete request to the head of its response.
 */
#ifndef AWS_ANSWER_H
#define AWS_ANSWER_H

#include <stdbool.h>

#include "conn.h"

/*
 * Decide what answers conn->request, whose reading ended with `verdict` (DONE or BAD): open the document, put the
 * response's head in conn->write_buff, and say in conn->body how the body goes. False if there is no memory for it.
 */
bool answer_prepare(struct connection *conn, enum request_verdict verdict);

#endif
