/* SPDX-License-Identifier: BSD-3-Clause */
/* peer.c - see peer.h. */
#include "peer.h"

#include <stdio.h>
#include <string.h>

int peer_parse(const char *url, struct peer_address *ret)
{
  struct peer_address address = {.port = 6379};

  if (strncmp(url, "unix://", 7) == 0)
    address.path = url + 7;
  else if (sscanf(url, "%*[a-z]://%255[^:/]:%d", address.host, &address.port) < 1)
    return -1;
  *ret = address;
  return 0;
}

redisContext *peer_open(const char *url, char why[PEER_WHY])
{
  struct peer_address address;
  redisContext *context;

  if (peer_parse(url, &address) != 0) {
    snprintf(why, PEER_WHY, "only redis://HOST:PORT and unix:///PATH will do here");
    return NULL;
  }
  context =
      address.path ? redisConnectUnix(address.path) : redisConnect(address.host, address.port);
  if (context && !context->err)
    return context;
  snprintf(why, PEER_WHY, "%s", context ? context->errstr : "out of memory");
  if (context)
    redisFree(context);
  return NULL;
}
