package io.moextend.eval;

import io.moextend.array.Array;
import io.moextend.config.T5Config;
import java.util.regex.Pattern;

/**
 * Names and shapes of what a T5's pass shows: rows as [batch, length, ..], what an adapter does
 * with queries, keys or values by head. Without a prefix the names are Hugging Face's, whose last
 * hidden state is the one after the norm.
 */
record T5TraceNames(T5Config config, T5TraceBatch batch, TraceOutput out) {
  private static final Pattern OF_INPUTS = Pattern.compile("encoder.*|.*EncDecAttention\\.[kv]");
  private static final Pattern BY_HEAD = Pattern.compile(".*Attention\\.[qkv]");

  void put(String name, Array array) {
    if (batch.isHuggingFaces()) {
      published(name, array);
    } else {
      shaped(name, array);
    }
  }

  private void published(String name, Array array) {
    String last = name.startsWith("encoder") ? "encoder" : "decoder";
    int layers = last.equals("encoder") ? config.encoderLayers() : config.decoderLayers();
    if (name.equals(last + "_hidden." + layers)) {
      return;
    }
    if (name.equals(last + "_output")) {
      shaped(last + "_hidden_states." + layers, array);
      shaped(last + "_last_hidden_state", array);
      return;
    }
    shaped(name.replaceFirst("_hidden\\.", "_hidden_states."), array);
  }

  /** Routers of heads have a row for each. */
  private void shaped(String name, Array array) {
    String module = name.replaceFirst("^(router|adapter_output)\\.", "");
    boolean ofInputs = OF_INPUTS.matcher(module).matches();
    int rows = batch.batch().rows();
    int length = ofInputs ? batch.batch().inputLength() : batch.batch().targetLength();
    long width = array.dim(1);
    long heads = array.dim(0) / ((long) rows * length);
    boolean output = name.startsWith("adapter_output.") && BY_HEAD.matcher(module).matches();
    if (output) {
      out.put(batch.prefix() + name, array, rows, length, config.heads(), config.headSize());
    } else if (heads > 1) {
      out.put(batch.prefix() + name, array, rows, length, heads, width);
    } else {
      out.put(batch.prefix() + name, array, rows, length, width);
    }
  }
}
