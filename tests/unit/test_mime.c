/*
 * test_mime.c - media types by extension.
 */
#include "mime.h"

#include "unit.h"

#define UNKNOWN "application/octet-stream"

static void expect_types(const char *const rows[][2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *got = mime_type(rows[i][0]);
        cr_expect(eq(str, text(got), text(rows[i][1])), "of %s", rows[i][0]);
    }
}

#define EXPECT_TYPES(rows) expect_types((rows), sizeof(rows) / sizeof(rows)[0])

Test(mime, every_known_extension_has_its_registered_type)
{
    /* https://www.iana.org/assignments/media-types; text that a course writes is UTF-8. */
    const char *const rows[][2] = {
        {"static/a.html", "text/html; charset=utf-8"},
        {"static/a.htm", "text/html; charset=utf-8"},
        {"static/a.css", "text/css; charset=utf-8"},
        {"static/a.js", "text/javascript; charset=utf-8"},
        {"static/a.txt", "text/plain; charset=utf-8"},
        {"static/a.md", "text/markdown; charset=utf-8"},
        {"static/a.csv", "text/csv; charset=utf-8"},
        {"static/a.json", "application/json"},
        {"static/a.xml", "application/xml"},
        {"static/a.pdf", "application/pdf"},
        {"static/a.zip", "application/zip"},
        {"static/a.gz", "application/gzip"},
        {"static/a.png", "image/png"},
        {"static/a.jpg", "image/jpeg"},
        {"static/a.jpeg", "image/jpeg"},
        {"static/a.gif", "image/gif"},
        {"static/a.svg", "image/svg+xml"},
        {"static/a.ico", "image/x-icon"},
        {"static/a.webp", "image/webp"},
        {"static/a.mp3", "audio/mpeg"},
        {"static/a.mp4", "video/mp4"},
        {"static/a.woff2", "font/woff2"},
    };
    EXPECT_TYPES(rows);
}

Test(mime, the_case_of_an_extension_does_not_matter)
{
    const char *const rows[][2] = {{"static/PAGE.HTML", "text/html; charset=utf-8"}, {"static/a.JpG", "image/jpeg"}};
    EXPECT_TYPES(rows);
}

Test(mime, only_the_last_extension_of_the_last_segment_counts)
{
    const char *const rows[][2] = {
        {"a.css", "text/css; charset=utf-8"},
        {"static/a.tar.gz", "application/gzip"},
        {"static/a.html.b/c.css", "text/css; charset=utf-8"},
        {"static/.html", "text/html; charset=utf-8"},
        {"static/a.html/b", UNKNOWN},
        {"static/a.html.", UNKNOWN},
        {"static/html", UNKNOWN},
    };
    EXPECT_TYPES(rows);
}

Test(mime, an_unknown_name_is_a_string_of_octets)
{
    const char *const rows[][2] = {
        {"", UNKNOWN},
        {"static/a", UNKNOWN},
        {"static/a.dat", UNKNOWN},
        {"static/a.htmlx", UNKNOWN},
        {"static/a.ht", UNKNOWN},
        {"static/a.html ", UNKNOWN},
        {"static/..", UNKNOWN},
    };
    EXPECT_TYPES(rows);
}
