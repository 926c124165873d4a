/** Hands the one store and the one pacer to the components. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Pacer } from "../chart/pacer";
import type { Live } from "../live";

export interface Store {
  live: Live;
  pacer: Pacer;
}

export const StoreContext = createContext<Store | null>(null);

export function useStore(): Store {
  const store = useContext(StoreContext);
  if (!store) throw new Error("a component that reads the store stands outside its provider");
  return store;
}
