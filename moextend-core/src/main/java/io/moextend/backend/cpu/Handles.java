package io.moextend.backend.cpu;

import java.util.ArrayDeque;

/** oneDNN objects needed only while a primitive is made; destroyed in reverse order. */
final class Handles implements AutoCloseable {
  private record Handle(String destructor, long address) {}

  private final OneDnn library;
  private final ArrayDeque<Handle> handles = new ArrayDeque<>();

  Handles(OneDnn library) {
    this.library = library;
  }

  long layout(long handle) {
    return own("dnnl_memory_desc_destroy", handle);
  }

  long attributes(long handle) {
    return own("dnnl_primitive_attr_destroy", handle);
  }

  long description(long handle) {
    return own("dnnl_primitive_desc_destroy", handle);
  }

  private long own(String destructor, long handle) {
    handles.push(new Handle(destructor, handle));
    return handle;
  }

  @Override
  public void close() {
    while (!handles.isEmpty()) {
      Handle handle = handles.pop();
      library.destroy(handle.destructor, handle.address);
    }
  }
}
