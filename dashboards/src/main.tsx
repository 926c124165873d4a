/** Starts the page: preferences, routes, the store, the pacer, the components. */
import "uplot/dist/uPlot.min.css";
import "./style/page.css";
import "./style/chart.css";
import "./style/range.css";
import "./style/alert.css";
import "./style/plugin.css";
import { render } from "preact";
import { Pacer } from "./chart/pacer";
import { Live, socketUrl } from "./live";
import { startPreferences } from "./preference";
import { App } from "./view/App";
import { startRouting } from "./view/route";
import { StoreContext } from "./view/store";
import { startTicker } from "./view/ticker";

const live: Live = new Live({ socketUrl: socketUrl(location) }, () => pacer.request());
const pacer = new Pacer(() => live.now());

startPreferences();
startRouting();
startTicker();
render(
  <StoreContext.Provider value={{ live, pacer }}>
    <App />
  </StoreContext.Provider>,
  document.getElementById("page") as HTMLElement,
);
live.start();
pacer.start();
