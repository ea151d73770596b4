/** Datasets: samples, their encoding into rows of ids, and batches made ahead of the step. */
@NullMarked
package io.moextend.data;

import org.jspecify.annotations.NullMarked;
