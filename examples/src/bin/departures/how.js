// The page is the same for all who load it. How it came this time is in the header Server-Timing.
const [load] = performance.getEntriesByType("navigation");
const timing = load.serverTiming.find(({ name }) => name === "page");
if (timing) {
  document.getElementById("how").textContent = `This page: ${timing.description}, in ${timing.duration} ms.`;
}
