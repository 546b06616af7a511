/* SPDX-License-Identifier: BSD-3-Clause */
/* agree.h - whether replies can be made for the hiredis of this process. */
#ifndef POOLMUX_HIREDIS_AGREE_H
#define POOLMUX_HIREDIS_AGREE_H

int hiredis_agrees(void); /* 1, or 0: it is another one, or memory is short */

#endif
