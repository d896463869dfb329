/*
 * test_resource.c - which file a target names, and the spellings that must name none.
 */
#include "resource.h"

#include <stdlib.h>
#include <string.h>

#include "alloc_faults.h"
#include "unit.h"

/* Find what `target` names, in memory that ends where the target and the path may: AddressSanitizer sees one byte more.
 * For RESOURCE_NONE the path becomes empty. */
static enum resource_kind find(const char *target, char *path)
{
    size_t length = strlen(target);
    char *exact = malloc(length ? length : 1), *room = malloc(length + 1);
    memcpy(exact, target, length);

    enum resource_kind kind = resource_find(exact, length, room);
    strcpy(path, kind == RESOURCE_NONE ? "" : room);
    free(exact);
    free(room);
    return kind;
}

static void expect_found(const char *target, enum resource_kind kind, const char *path)
{
    char got[9000];
    cr_expect(eq(int, find(target, got), kind), "of %.100s", target);
    cr_expect(eq(str, got, text(path)), "of %.100s", target);
}

static void expect_none(const char *const targets[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_found(targets[i], RESOURCE_NONE, "");
}

#define EXPECT_NONE(...)                                                                                               \
    expect_none((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

Test(resource, the_first_segment_says_which_kind)
{
    expect_found("/static/f", RESOURCE_STATIC, "static/f");
    expect_found("/dynamic/f", RESOURCE_DYNAMIC, "dynamic/f");
    expect_found("/static/dynamic/f", RESOURCE_STATIC, "static/dynamic/f");
    expect_found("/dynamic/sub/deep.dat", RESOURCE_DYNAMIC, "dynamic/sub/deep.dat");
    EXPECT_NONE("/", "/f", "/static", "/dynamic", "/staticx/f", "/dynamicx/f", "/xstatic/f", "/x/static/f", "/stati/c",
                "/STATIC/f", "/Dynamic/f");
}

Test(resource, a_query_and_a_fragment_are_not_of_the_path)
{
    expect_found("/static/f?", RESOURCE_STATIC, "static/f");
    expect_found("/static/f?x=1&y=/../secret", RESOURCE_STATIC, "static/f");
    expect_found("/static/f?%zz%00%", RESOURCE_STATIC, "static/f");
    expect_found("/dynamic/f#part", RESOURCE_DYNAMIC, "dynamic/f");
    expect_found("/dynamic/f?x#part", RESOURCE_DYNAMIC, "dynamic/f");
    EXPECT_NONE("/?/static/f", "/static?/f", "/static/?f");
}

Test(resource, the_absolute_form_of_http_names_the_same)
{
    expect_found("http://a/static/f", RESOURCE_STATIC, "static/f");
    expect_found("HTTP://A:8888/dynamic/f?x", RESOURCE_DYNAMIC, "dynamic/f");
    expect_found("http://[::1]:8888/static/f", RESOURCE_STATIC, "static/f");
    expect_found("http://u:p@a/static/f", RESOURCE_STATIC, "static/f");
    EXPECT_NONE("http://a", "http://a:8888", "http://a?/static/f", "http:///static/f", "http://a:x/static/f",
                "http://a:65536/static/f", "http:/static/f", "http:static/f", "http://a/secret",
                "http://a/static/../secret", "http://a//static/f");
    EXPECT_NONE("https://a/static/f", "file://a/static/f", "htt://a/static/f", "ftp://a/static/f", "a:80", "a/static/f",
                "static/f");
}

Test(resource, an_asterisk_names_nothing_even_before_a_path)
{
    EXPECT_NONE("*", "*static/f", "*dynamic/f", "*/static/f", "http://a*/static/f");
}

Test(resource, percent_encoded_octets_are_decoded_once)
{
    expect_found("/static/%66", RESOURCE_STATIC, "static/f");
    expect_found("/%73tatic/f", RESOURCE_STATIC, "static/f");
    expect_found("/static/with%20space", RESOURCE_STATIC, "static/with space");
    expect_found("/static/with+space", RESOURCE_STATIC, "static/with+space");
    expect_found("/static/%C3%a9", RESOURCE_STATIC, "static/\xc3\xa9");
    expect_found("/static/\xc3\xa9", RESOURCE_STATIC, "static/\xc3\xa9");
    expect_found("/static/%2566", RESOURCE_STATIC, "static/%66");
    expect_found("/static/%3f%23", RESOURCE_STATIC, "static/?#");
    expect_found("/static/%01%7F%FF", RESOURCE_STATIC, "static/\x01\x7f\xff");
    expect_found("/static/%aA%Ff%09", RESOURCE_STATIC, "static/\xaa\xff\t");
    expect_found("/static/a\\b", RESOURCE_STATIC, "static/a\\b"); /* a byte like any other: no separator here */
}

Test(resource, a_broken_encoding_names_nothing)
{
    EXPECT_NONE("/static/%", "/static/%6", "/static/f%", "/static/f%6", "/static/%zz", "/static/%6z", "/static/%z6",
                "/static/% 6", "/static/%-6", "/static/%0x66", "/static/%%66", "/static/%6?6", "/static/%?");
    /* The neighbours of the digits and letters in ASCII. */
    EXPECT_NONE("/static/%4/", "/static/%4:", "/static/%4@", "/static/%4G", "/static/%4`", "/static/%4g");
}

Test(resource, a_nul_and_a_slash_cannot_be_smuggled_in)
{
    EXPECT_NONE("/static/f%00", "/static/f%00.html", "/static/%00", "/%00/static/f", "/static%2Ff", "/static%2ff",
                "/static/sub%2fdeep.dat", "/static/..%2fsecret", "%2fstatic/f", "/%2fstatic/f");
}

Test(resource, no_spelling_of_a_dot_segment_names_anything)
{
    EXPECT_NONE("/static/.", "/static/..", "/static/./f", "/static/../secret", "/./static/f", "/../static/f", "/..",
                "/.", "/static/sub/../f", "/static/sub/../../secret", "/static/f/..", "/static/f/.",
                "/dynamic/../static/f", "/static/../../../../../../etc/passwd");
    EXPECT_NONE("/static/%2e%2e/secret", "/static/%2E./secret", "/static/.%2e/secret", "/static/%2e/f",
                "/%2e%2e/static/f", "/static/..%2fsecret", "/static/%2e%2e%2fsecret", "http://a/%2e%2e/static/f");
}

Test(resource, names_that_only_begin_with_dots_are_names)
{
    expect_found("/static/..f", RESOURCE_STATIC, "static/..f");
    expect_found("/static/.f", RESOURCE_STATIC, "static/.f");
    expect_found("/static/...", RESOURCE_STATIC, "static/...");
    expect_found("/static/f..", RESOURCE_STATIC, "static/f..");
    expect_found("/static/.../f", RESOURCE_STATIC, "static/.../f");
    expect_found("/static/a.", RESOURCE_STATIC, "static/a.");
    expect_found("/static/ .", RESOURCE_NONE, ""); /* a blank ends a target */
    expect_found("/static/%20.", RESOURCE_STATIC, "static/ .");
    /* Encoded twice they are names with a percent sign, overlong UTF-8 is no dot and no slash. */
    expect_found("/static/%252e%252e/secret", RESOURCE_STATIC, "static/%2e%2e/secret");
    expect_found("/static/..%c0%afsecret", RESOURCE_STATIC, "static/..\xc0\xafsecret");
    expect_found("/static/%c0%ae%c0%ae/secret", RESOURCE_STATIC, "static/\xc0\xae\xc0\xae/secret");
}

Test(resource, an_empty_segment_names_nothing)
{
    EXPECT_NONE("/static/", "/dynamic/", "/static//f", "//static/f", "///static/f", "/static/f/",
                "/static/sub//deep.dat", "/static///", "//", "");
}

Test(resource, the_longest_target_is_decoded_whole)
{
    char target[8001], path[8001];
    memset(target, 'a', sizeof target - 1);
    target[8000] = '\0';
    memcpy(target, "/static/", 8);
    expect_found(target, RESOURCE_STATIC, target + 1);

    for (size_t i = 8; i + 3 <= 8000; i += 3)
        memcpy(target + i, "%61", 3);
    cr_assert(eq(int, find(target, path), RESOURCE_STATIC));
    cr_assert(eq(sz, strlen(path), 7 + (8000 - 8) / 3));
    cr_assert(eq(sz, strspn(path + 7, "a"), (8000 - 8) / 3));
    cr_assert(not(memory_leaked()));
}
