/** Whole models, and the published architectures they are read from. */
@NullMarked
package io.moextend.model;

import org.jspecify.annotations.NullMarked;
