/* SPDX-License-Identifier: BSD-3-Clause */
/* metrics.c - makes some calls, then prints all that was measured, as a server's /metrics would.
 * usage: metrics [URL [text|json|prometheus]]     default: $POOLMUX_URL; prometheus */
#include <poolmux/poolmux.h>
#include <stdio.h>
#include <stdlib.h>

/* The text at its full length: numbers grow while it is made, so there is some room to spare. */
static char *text_of(const pmx_client *client, const char *format)
{
  size_t size = 0, needed = pmx_stats_text(client, format, NULL, 0);
  char *text = NULL, *more;

  while (needed >= size) {
    if (needed == 0)
      break; /* no such format, or no memory */
    size = needed + 1024;
    more = realloc(text, size);
    if (!more)
      break;
    text = more;
    needed = pmx_stats_text(client, format, text, size);
  }
  if (needed > 0 && needed < size)
    return text;
  free(text);
  return NULL;
}

/* Something of everything: a few commands, one that waits, a lease. Not all strategies have all. */
static void make_calls(pmx_client *client)
{
  pmx_lease *lease;

  for (int i = 0; i < 100; i++)
    pmx_reply_free(pmx_command(client, "SET poolmux:example:metrics %d EX 60", i));
  pmx_reply_free(pmx_command(client, "BLPOP poolmux:example:nothing 0.01"));
  lease = pmx_acquire(client, NULL, NULL);
  if (lease) {
    pmx_reply_free(pmx_lease_command(lease, NULL, "WATCH poolmux:example:metrics"));
    pmx_release(lease);
  }
}

int main(int argc, char **argv)
{
  const char *format = argc > 2 ? argv[2] : "prometheus";
  pmx_reply *err;
  pmx_client *client = pmx_open(argc > 1 ? argv[1] : getenv("POOLMUX_URL"), NULL, &err);
  char *text;
  int result;

  if (!client) {
    fprintf(stderr, "metrics: %s\n", pmx_reply_error(err));
    pmx_reply_free(err);
    return 1;
  }
  make_calls(client);
  text = text_of(client, format);
  if (text)
    fputs(text, stdout);
  else
    fprintf(stderr, "metrics: there is no format \"%s\"\n", format);
  result = text ? 0 : 1;
  pmx_unref(client);
  free(text);
  return result;
}
