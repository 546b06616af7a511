/* SPDX-License-Identifier: BSD-3-Clause */
/* scan.c - removes all keys with a prefix, page by page, without holding up the server.
 * usage: scan [URL]     default: $POOLMUX_URL, else the server on this machine */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "poolmux:example:session:"
enum { KEYS = 250 };

/* How many were removed; -1 = not all could be. A key may come twice: then UNLINK says 0. */
static int64_t remove_all(pmx_client *client, const char *pattern)
{
  pmx_scan *scan = pmx_scan_new(client, "SCAN", NULL, 0, pattern, strlen(pattern), 100);
  const pmx_reply *key;
  pmx_reply *err;
  int64_t removed = 0;
  int good = 1;

  while ((key = pmx_scan_next(scan, NULL, &err)) && good) {
    size_t len;
    const char *bytes = pmx_reply_str(key, &len);
    pmx_reply *reply = pmx_command(client, "UNLINK %b", bytes, len);

    good = pmx_ok(reply);
    removed += pmx_reply_int(reply, NULL);
    pmx_reply_free(reply);
  }
  if (err) /* another pmx_scan_next would ask for the same page again */
    fprintf(stderr, "scan: %s\n", pmx_reply_error(err));
  good = good && !err;
  pmx_reply_free(err);
  pmx_scan_free(scan);
  return good ? removed : -1;
}

int main(int argc, char **argv)
{
  const char *url = argc > 1 ? argv[1] : getenv("POOLMUX_URL");
  pmx_reply *err;
  pmx_client *client = pmx_open(url, NULL, &err);
  int64_t removed;

  if (!client)
    fprintf(stderr, "open: %s\n", pmx_reply_error(err));
  pmx_reply_free(err); /* without a client all that follows fails, and does nothing */
  for (int i = 0; i < KEYS; i++)
    pmx_reply_free(pmx_command(client, "SET " PREFIX "%d x EX 60", i));
  removed = remove_all(client, PREFIX "*");
  printf("removed %lld\n", (long long)removed);
  pmx_unref(client);
  return removed == KEYS ? 0 : 1;
}
