package io.moextend.backend.cpu;

import io.moextend.array.DType;
import java.util.ArrayList;
import java.util.List;

/**
 * The weights of one of a matrix' two products in the layouts oneDNN wants, cut into panels of
 * columns so that few rows keep many workers busy; all panels lie in one piece of memory.
 *
 * @param inner the sum's length
 * @param columns the result's width
 * @param memory U8 [bytes]
 */
record PackedSide(int inner, int columns, List<Panel> panels, CpuArray memory) {
  private static final int PANEL = 256;
  private static final long ALIGNMENT = 64;

  /**
   * @param first column of the result
   * @param address of the packed weights
   */
  record Panel(int first, int columns, Gemm.Layout.Packed layout, long address) {}

  /** A side before it has memory. */
  record Plan(int inner, int columns, List<Cut> cuts, long bytes) {
    /**
     * @param offset in bytes
     */
    private record Cut(int first, int columns, Gemm.Layout.Packed layout, long offset) {}

    /**
     * @param widths of the parts; a panel lies within one part, so that a stack gives the bits of
     *     its parts
     */
    static Plan of(CpuDevice cpu, DType type, int inner, int... widths) {
      var cuts = new ArrayList<Cut>();
      int base = 0;
      long offset = 0;
      for (int width : widths) {
        for (int first = 0; first < width; first += PANEL) {
          int columns = Math.min(PANEL, width - first);
          PackedLayouts.Chosen chosen = cpu.layouts().of(inner, columns, type);
          cuts.add(new Cut(base + first, columns, chosen.layout(), offset));
          offset += Math.ceilDiv(chosen.bytes(), ALIGNMENT) * ALIGNMENT;
        }
        base += width;
      }
      return new Plan(inner, base, List.copyOf(cuts), offset);
    }

    PackedSide in(CpuArray memory) {
      return new PackedSide(
          inner,
          columns,
          cuts.stream()
              .map(c -> new Panel(c.first, c.columns, c.layout, memory.address() + c.offset))
              .toList(),
          memory);
    }
  }

  /** Fills the panels from a plain matrix, or the matrix from the panels. */
  @FunctionalInterface
  interface PanelTask {
    void run(Lane lane, Panel panel);
  }

  void forPanels(CpuDevice cpu, PanelTask task) {
    cpu.workers().run(panels.size(), (lane, i) -> task.run(lane, panels.get(i)));
  }
}
