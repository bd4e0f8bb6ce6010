/*
 * The sources of the Python runner, as they were when this program was built: what `muster map
 * module:function` sends along, so that the program is all that a client needs.
 */
#ifndef MUSTER_CPYTHONRUNNER_H
#define MUSTER_CPYTHONRUNNER_H

#include <stddef.h>

typedef struct {
    /* Path below the zip's top. */
    const char *name;
    const unsigned char *bytes;
    size_t count;
} muster_python_source;

size_t muster_python_source_count(void);

/* `index` is below that count. */
muster_python_source muster_python_source_at(size_t index);

#endif
