/* SPDX-License-Identifier: BSD-3-Clause */
/* value.h - what the value of a key is: known from the key, see execute.c. */
#ifndef PMX_SIM_VALUE_H
#define PMX_SIM_VALUE_H
#include <stddef.h>

size_t value_size(const char *key);
void value_write(const char *key, char *buf); /* value_size bytes */
int value_fits(const char *key, const char *value, size_t len);

#endif
