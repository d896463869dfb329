/*
 * test_options.c - the command line: defaults, every value good and bad, and what is said about the bad ones.
 */
#include "options.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "pool.h"
#include "unit.h"

#define WORDS_MAX 8

static struct options options;
static char error[OPTIONS_ERROR_SIZE];

/* Parse the command line "aws WORDS...". */
static enum options_verdict parse_words(const char *const words[], size_t count)
{
    static char copies[WORDS_MAX][600];
    char *argv[WORDS_MAX + 2] = {copies[0]};

    strcpy(copies[0], "aws");
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = strcpy(copies[i + 1], words[i]);
    memset(error, 0, sizeof error);
    return options_parse((int)count + 1, argv, &options, error);
}

#define PARSE(...)                                                                                                     \
    parse_words((const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

Test(options, without_any_the_assignment_s_defaults_hold)
{
    char name[] = "aws", *argv[] = {name, NULL};

    cr_assert(eq(int, options_parse(1, argv, &options, error), OPTIONS_RUN));
    cr_expect(eq(str, text(options.address), text("0.0.0.0")));
    cr_expect(eq(str, text(options.root), text(".")));
    cr_expect(zero(ptr, text(options.trace)));
    cr_expect(eq(u16, options.port, 8888));
    cr_expect(eq(sz, options.window, (size_t)4 << 20));
    cr_expect(eq(sz, options.dynamic_memory, (size_t)256 << 20));
    cr_expect(eq(sz, options.max_connections, 0));
    cr_expect(eq(i64, options.head_timeout_ms, 20000));
    cr_expect(eq(i64, options.send_timeout_ms, 120000));
}

Test(options, each_can_be_set_in_its_short_and_its_long_form)
{
    cr_assert(eq(int, PARSE("-p", "80", "-a", "::1", "-r", "/srv"), OPTIONS_RUN));
    cr_expect(eq(u16, options.port, 80));
    cr_expect(eq(str, text(options.address), text("::1")));
    cr_expect(eq(str, text(options.root), text("/srv")));

    cr_assert(eq(int, PARSE("--port=81", "--address", "127.0.0.1", "--root=/www", "--trace=/tmp/t"), OPTIONS_RUN));
    cr_expect(eq(u16, options.port, 81));
    cr_expect(eq(str, text(options.address), text("127.0.0.1")));
    cr_expect(eq(str, text(options.root), text("/www")));
    cr_expect(eq(str, text(options.trace), text("/tmp/t")));

    cr_assert(eq(int, PARSE("--window=1M", "--dynamic-memory=2M", "--max-connections=5"), OPTIONS_RUN));
    cr_expect(eq(sz, options.window, (size_t)1 << 20));
    cr_expect(eq(sz, options.dynamic_memory, (size_t)2 << 20));
    cr_expect(eq(sz, options.max_connections, 5));

    cr_assert(eq(int, PARSE("--head-timeout=1.5", "--send-timeout=7"), OPTIONS_RUN));
    cr_expect(eq(i64, options.head_timeout_ms, 1500));
    cr_expect(eq(i64, options.send_timeout_ms, 7000));
}

Test(options, one_line_does_not_remember_the_one_before)
{
    cr_assert(eq(int, PARSE("-p", "80", "extra"), OPTIONS_BAD));
    cr_assert(eq(int, PARSE("-r", "/srv"), OPTIONS_RUN));
    cr_expect(eq(u16, options.port, 8888));
}

Test(options, help_and_version_come_before_what_follows_them)
{
    cr_expect(eq(int, PARSE("-h"), OPTIONS_HELP));
    cr_expect(eq(int, PARSE("--help", "--port=no"), OPTIONS_HELP));
    cr_expect(eq(int, PARSE("-V"), OPTIONS_VERSION));
    cr_expect(eq(int, PARSE("--version", "extra"), OPTIONS_VERSION));
}

Test(options, help_names_every_option_with_its_default)
{
    const char *const rows[] = {
        "-p, --port=N ",        "(8888)",
        "-a, --address=",       "(0.0.0.0)",
        "-r, --root=",          "(the working directory)",
        "--window=BYTES ",      "(4M)",
        "--dynamic-memory=",    "(256M)",
        "--max-connections=N ", "(0: half of the",
        "--head-timeout=",      "(20)",
        "--send-timeout=",      "(120)",
        "--trace=FILE ",        "-V, --version\n",
        "-h, --help\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect(ne(ptr, strstr(options_help, rows[i]), NULL), "\"%s\" is not in the help", rows[i]);
}

Test(options, ports_are_decimal_numbers_of_16_bits)
{
    const struct {
        const char *word;
        uint16_t port;
    } rows[] = {{"0", 0}, {"1", 1}, {"08888", 8888}, {"65535", 65535}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(eq(int, PARSE("-p", rows[i].word), OPTIONS_RUN), "-p %s: %s", rows[i].word, error);
        cr_expect(eq(u16, options.port, rows[i].port), "-p %s", rows[i].word);
    }
}

Test(options, bytes_may_end_in_a_unit_and_hold_a_buffer_at_least)
{
    const struct {
        const char *word;
        size_t bytes;
    } rows[] = {
        {"131072", POOL_BUFFER_SIZE},
        {"128K", POOL_BUFFER_SIZE},
        {"131073", POOL_BUFFER_SIZE + 1},
        {"3M", (size_t)3 << 20},
        {"2G", (size_t)2 << 30},
        {"16G", (size_t)16 << 30},
        {"17179869184", (size_t)16 << 30}, /* the same without a unit */
        {"17179869183G", (((size_t)16 << 30) - 1) << 30},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(eq(int, PARSE("--window", rows[i].word), OPTIONS_RUN), "--window %s: %s", rows[i].word, error);
        cr_expect(eq(sz, options.window, rows[i].bytes), "--window %s", rows[i].word);
        cr_expect(eq(int, PARSE("--dynamic-memory", rows[i].word), OPTIONS_RUN), "%s: %s", rows[i].word, error);
        cr_expect(eq(sz, options.dynamic_memory, rows[i].bytes), "--dynamic-memory %s", rows[i].word);
    }
}

Test(options, seconds_may_have_a_fraction)
{
    const struct {
        const char *word;
        int64_t milliseconds;
    } rows[] = {{"1", 1000}, {"0.001", 1}, {".5", 500}, {"2.", 2000}, {"86400", 86400000}, {"0.0019", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(eq(int, PARSE("--head-timeout", rows[i].word), OPTIONS_RUN), "%s: %s", rows[i].word, error);
        cr_expect(eq(i64, options.head_timeout_ms, rows[i].milliseconds), "--head-timeout %s", rows[i].word);
        cr_expect(eq(int, PARSE("--send-timeout", rows[i].word), OPTIONS_RUN), "%s: %s", rows[i].word, error);
        cr_expect(eq(i64, options.send_timeout_ms, rows[i].milliseconds), "--send-timeout %s", rows[i].word);
    }
}

/* What is said of the option `word`=VALUE, for each VALUE that it must not take. */
static void expect_refused(const char *word, const char *wanted, const char *const values[], size_t count)
{
    char said[OPTIONS_ERROR_SIZE];
    for (size_t i = 0; i < count; i++) {
        snprintf(said, sizeof said, "%s wants %s, not '%s'", word, wanted, values[i]);
        cr_expect(eq(int, PARSE(word, values[i]), OPTIONS_BAD), "%s '%s' was taken", word, values[i]);
        cr_expect(eq(str, error, said));
    }
}

#define EXPECT_REFUSED(word, wanted, ...)                                                                              \
    expect_refused(word, wanted, (const char *const[]){__VA_ARGS__},                                                   \
                   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

Test(options, a_bad_value_is_named_with_what_it_should_have_been)
{
    EXPECT_REFUSED("--port", "a port from 0 to 65535", "", "65536", "-1", "+1", " 1", "1 ", "0x50", "http", "8888K",
                   "99999999999999999999", "00000000000000008888");
    EXPECT_REFUSED("--window", "a number of bytes from 128K, such as 4M", "", "0", "1", "131071", "127K", "1T", "4m",
                   "4MB", "4 M", "K", "-4M", "4.5M", "17179869184G", "17179869185G", "18446744073709551616",
                   "99999999999999999999G");
    EXPECT_REFUSED("--dynamic-memory", "a number of bytes from 128K, such as 256M", "", "131071", "256MiB", "-1",
                   "17592186044417M");
    EXPECT_REFUSED("--max-connections", "a number of connections", "", "-1", "1K", "2147483648", "many");
    EXPECT_REFUSED("--head-timeout", "seconds from 0.001 to 86400", "", "0", "0.0009", "-1", "1e3", "86400.1", "5s",
                   "1.2.3", ".", "inf", "nan", "0x10", "1000000000000000000000000000000");
    EXPECT_REFUSED("--send-timeout", "seconds from 0.001 to 86400", "", "0", "-0.5", "86401", "2m");
}

Test(options, the_short_form_of_a_bad_value_is_called_by_its_long_name)
{
    cr_assert(eq(int, PARSE("-pX"), OPTIONS_BAD));
    cr_assert(eq(str, error, text("--port wants a port from 0 to 65535, not 'X'")));
}

Test(options, as_many_connections_as_an_int_counts_are_accepted)
{
    cr_assert(eq(int, PARSE("--max-connections=2147483647"), OPTIONS_RUN));
    cr_assert(eq(sz, options.max_connections, 2147483647));
}

Test(options, what_is_not_an_option_is_named_with_the_way_out)
{
    const struct {
        const char *words[3];
        size_t count;
        const char *said;
    } rows[] = {
        {{"-x"}, 1, "unknown option or unwanted value: '-x'; try 'aws --help'"},
        {{"--ports=1"}, 1, "unknown option or unwanted value: '--ports=1'; try 'aws --help'"},
        {{"--he"}, 1, "unknown option or unwanted value: '--he'; try 'aws --help'"}, /* help or head-timeout? */
        {{"--help=me"}, 1, "unknown option or unwanted value: '--help=me'; try 'aws --help'"},
        {{"-xV"}, 1, "unknown option or unwanted value: '-xV'; try 'aws --help'"}, /* x is not the last of its word */
        {{"-p", "80", "-xp"}, 3, "unknown option or unwanted value: '-xp'; try 'aws --help'"},
        {{"-p"}, 1, "a value is missing after '-p'; try 'aws --help'"},
        {{"-r", ".", "--trace"}, 3, "a value is missing after '--trace'; try 'aws --help'"},
        {{"."}, 1, "there is nothing to be done with '.'; try 'aws --help'"},
        {{"-p", "80", "8888"}, 3, "there is nothing to be done with '8888'; try 'aws --help'"},
        {{"extra", "-x"}, 2, "there is nothing to be done with 'extra'; try 'aws --help'"}, /* in the order given */
        {{"--", "-p"}, 2, "there is nothing to be done with '-p'; try 'aws --help'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(eq(int, parse_words(rows[i].words, rows[i].count), OPTIONS_BAD), "row %zu was taken", i);
        cr_expect(eq(str, error, text(rows[i].said)), "row %zu", i);
    }
}

Test(options, an_endless_word_is_cut_so_that_the_line_keeps_its_end)
{
    char word[501];
    for (int dashes = 0; dashes <= 2; dashes += 2) {
        memset(word, 'x', sizeof word - 1);
        memset(word, '-', (size_t)dashes);
        word[sizeof word - 1] = '\0';
        cr_assert(eq(int, PARSE(word), OPTIONS_BAD));
        char *end = strchr(error, '\'') + 1 + 100;
        cr_assert(eq(str, end, text("'; try 'aws --help'")));
    }

    cr_assert(eq(int, PARSE("--dynamic-memory", word), OPTIONS_BAD));
    cr_assert(eq(chr, error[strlen(error) - 1], '\''));
}
