/*
 * fixture.c - reads request fixtures: some lines about a request, "---", and its bytes with escapes.
 */
#include "fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#define FOLDER "fixtures/requests"
#define SUFFIX ".req"
#define PARSER_LINE "parser: "

/* The longest request is 128 KiB; the file has some lines more. */
#define BYTES_MAX ((size_t)1 << 18)

/* Put one escape, whose backslash was just before *from, to *to; both move on. */
static void unescape_one(const char **from, char **to, const char *name)
{
    char letter = *(*from)++;
    char repeated;
    unsigned value, times;
    int used = 0;

    switch (letter) {
    case 'r':
        *(*to)++ = '\r';
        break;
    case 'n':
        *(*to)++ = '\n';
        break;
    case 't':
        *(*to)++ = '\t';
        break;
    case '\\':
        *(*to)++ = '\\';
        break;
    case 'x':
        cr_assert(eq(int, sscanf(*from, "%2x", &value), 1), "%s: no hexadecimal digits at %.20s", name, *from);
        *(*to)++ = (char)value;
        *from += 2;
        break;
    case '(':
        cr_assert(eq(int, sscanf(*from, "%c*%u)%n", &repeated, &times, &used), 2), "%s: at %.20s", name, *from);
        cr_assert(gt(int, used, 0), "%s: no end of a repetition at %.20s", name, *from);
        memset(*to, repeated, times);
        *to += times;
        *from += used;
        break;
    default:
        cr_fatal("%s: unknown escape \\%c", name, letter);
    }
}

/* Undo the escapes of `from` into new memory that the caller frees. Newlines of the file are not among the bytes. */
static char *unescape(const char *from, size_t *count, const char *name)
{
    char *bytes = malloc(BYTES_MAX);
    char *to = bytes;
    while (*from) {
        char byte = *from++;
        if (byte == '\\')
            unescape_one(&from, &to, name);
        else if (byte != '\n')
            *to++ = byte;
    }
    *to = '\0';
    *count = (size_t)(to - bytes);
    return realloc(bytes, *count + 1);
}

static char *read_file(const char *name)
{
    char path[sizeof FOLDER + 256];
    snprintf(path, sizeof path, FOLDER "/%.255s", name);
    FILE *file = fopen(path, "r");
    cr_assert(ne(ptr, file, NULL), "cannot open %s", path);

    char *content = malloc(BYTES_MAX);
    size_t count = fread(content, 1, BYTES_MAX - 1, file);
    content[count] = '\0';
    fclose(file);
    return content;
}

static struct fixture read_fixture(const char *name)
{
    struct fixture fixture = {.name = strdup(name)};
    char *content = read_file(name);
    char *line = strstr(content, "\n" PARSER_LINE);
    char *separator = strstr(content, "\n---\n");
    cr_assert(line && separator && line < separator, "%s: no line 'parser:', or none of '---' after it", name);

    size_t length;
    line += strlen("\n" PARSER_LINE);
    *strchr(line, '\n') = '\0';
    fixture.parser = unescape(line, &length, name);
    fixture.bytes = unescape(separator + strlen("\n---\n"), &fixture.count, name);
    cr_assert(gt(sz, fixture.count, 0), "%s is empty", name);
    free(content);
    return fixture;
}

static int is_fixture(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, SUFFIX) == 0;
}

struct fixture *fixtures_read(size_t *count)
{
    struct dirent **entries;
    int found = scandir(FOLDER, &entries, is_fixture, alphasort);
    cr_assert(gt(int, found, 0), "no fixture in " FOLDER ": run in the project's top folder");

    struct fixture *fixtures = calloc((size_t)found, sizeof *fixtures);
    for (int i = 0; i < found; i++) {
        fixtures[i] = read_fixture(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    *count = (size_t)found;
    return fixtures;
}

void fixtures_free(struct fixture *fixtures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(fixtures[i].name);
        free(fixtures[i].parser);
        free(fixtures[i].bytes);
    }
    free(fixtures);
}
