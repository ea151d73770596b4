/**
 * Dense checkpoints made into mixtures of experts and back, tensor by tensor: names, JSON and bytes
 * alone, so that a model need neither run here nor fit in memory.
 */
@NullMarked
package io.moextend.stage.convert;

import org.jspecify.annotations.NullMarked;
